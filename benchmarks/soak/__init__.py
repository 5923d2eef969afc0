"""Load that the daemon holds: everything at once, against its promises. See :mod:`benchmarks.soak.__main__`."""
