"""Entry point of ``python -m tertium``, the same as the command ``tertium``."""

import sys

from tertium.cli import main

if __name__ == "__main__":  # the worker, a spawned process, imports this module again
    sys.exit(main())
