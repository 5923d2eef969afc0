"""Bytes and peers, and nothing else: what the bytes mean is decided by others."""
