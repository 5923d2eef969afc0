"""Tertium: two sounds in, a third out. The daemon and its engine."""

__version__ = "0.1.0"
