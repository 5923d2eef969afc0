"""``python -m tertium`` is ``tertium``."""

import sys

from tertium.cli import main

if __name__ == "__main__":  # the worker, a spawned process, imports this module anew
    sys.exit(main())
