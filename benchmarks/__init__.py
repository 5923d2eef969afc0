"""Benchmarks: each reports the ratio of two durations that are measured in the same run on the same machine."""
