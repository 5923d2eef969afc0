"""Start a daemon for a test: ``python -m tests.end_to_end.serve '{"home": …, …}'``, the options of ``tertium.daemon.config.settings`` as JSON."""

import json
import sys

from tertium.daemon import app, config

if __name__ == "__main__":
    sys.exit(app.run(config.settings(**json.loads(sys.argv[1]))))
