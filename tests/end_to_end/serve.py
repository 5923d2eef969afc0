"""Starts a daemon for a test: ``python -m tests.end_to_end.serve '{"home": …, …}'``, the options of ``tertium.config.settings`` as JSON."""

import json
import sys

from tertium import config, daemon

if __name__ == "__main__":
    sys.exit(daemon.run(config.settings(**json.loads(sys.argv[1]))))
