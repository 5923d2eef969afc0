"""Measurements: each is a ratio of two things that run side by side, in one run, on one machine."""
