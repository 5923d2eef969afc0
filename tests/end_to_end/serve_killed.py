"""Starts a daemon as ``tests.end_to_end.serve`` does, which is killed when its first result is to be journalled: stored, but known to nobody."""

import json
import os
import signal
import sys

from tertium import config, daemon
from tertium.jobs import Jobs


async def killed(self, job, result):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Jobs.done = killed
    sys.exit(daemon.run(config.settings(**json.loads(sys.argv[1]))))
