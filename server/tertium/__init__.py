"""Tertium: a daemon and its engine, which fuse two sounds into a third."""

__version__ = "0.1.0"
