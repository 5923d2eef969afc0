"""The log: one readable line per event, or one JSON object per line.

Text from clients is escaped, so that it can neither forge log lines nor control a terminal.
"""

import json
import logging
import logging.handlers
import sys
import time
from pathlib import Path
from typing import Any, TextIO

LOGGER = "tertium"
LONGEST = 300
LARGEST_FILE, OLD_FILES = 4 << 20, 3  # bytes; files
MOST_WARNINGS = 20
"""Lines per second of the same warning; a flood of requests must not fill the disk."""


def event(name: str, /, *, level: int = logging.INFO, **facts: Any) -> None:
    """Log one event.

    Args:
        name: the event, in a few words.
        level: a level of :mod:`logging`.
        facts: details, shown in the given order; those that are None are omitted.
    """
    known = {key: value for key, value in facts.items() if value is not None}
    logging.getLogger(LOGGER).log(level, name, extra={"facts": known})


def exception(name: str, problem: BaseException, /, **facts: Any) -> None:
    """Log an internal error with its traceback."""
    logging.getLogger(LOGGER).error(name, exc_info=problem, extra={"facts": facts})


def set_up(*, as_json: bool, stream: TextIO | None = None) -> logging.Handler:
    """Send the log to one stream, standard error by default. Errors of that stream, such as a full disk, are ignored."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    handler.handleError = lambda record: None
    handler.addFilter(RateLimit())
    for name, level in ((LOGGER, logging.INFO), ("asyncio", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    return handler


def keep_in(path: Path) -> logging.Handler:
    """Write the log to a file too, which is replaced by an empty one when it is large; a few old ones are kept. Close the handler with :func:`stop_keeping`."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LARGEST_FILE, backupCount=OLD_FILES, encoding="utf-8", delay=True
    )
    handler.setFormatter(TextFormatter(date=True))
    handler.handleError = lambda record: None
    handler.addFilter(RateLimit())
    for name in (LOGGER, "asyncio"):
        logging.getLogger(name).addHandler(handler)
    return handler


def stop_keeping(handler: logging.Handler) -> None:
    """End what :func:`keep_in` began."""
    for name in (LOGGER, "asyncio"):
        logging.getLogger(name).removeHandler(handler)
    handler.close()


class RateLimit(logging.Filter):
    """A limit of :data:`MOST_WARNINGS` lines per second for each warning. The next line that is logged says how many were omitted."""

    def __init__(self) -> None:
        super().__init__()
        self._seconds: dict[str, int] = {}
        self._lines: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or record.name != LOGGER:
            return True
        name, second = record.msg, int(record.created)
        if self._seconds.get(name) != second:
            left_out = self._lines.get(name, 0) - MOST_WARNINGS
            self._seconds[name], self._lines[name] = second, 0
            if left_out > 0:
                record.facts = {**getattr(record, "facts", {}), "left_out_before": left_out}
        self._lines[name] += 1
        return self._lines[name] <= MOST_WARNINGS


class TextFormatter(logging.Formatter):
    """Readable lines: ``10:21:03.123  job done  job=… seconds=1.2``, or with the date before them."""

    def __init__(self, *, date: bool = False):
        super().__init__()
        self._clock = "%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime(self._clock, time.localtime(record.created))
        known = dict(getattr(record, "facts", {}))
        traceback = known.pop("traceback", None) or (record.exc_info and self.formatException(record.exc_info))
        facts = " ".join(f"{key}={_plain(value)}" for key, value in known.items())
        mark = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        line = f"{clock}.{int(record.msecs):03d}  {mark}{record.getMessage()}"
        line = f"{line}  {facts}" if facts else line
        return line + "".join(f"\n    {_printable(one)}" for one in traceback.splitlines()) if traceback else line


class JsonFormatter(logging.Formatter):
    """One JSON object per event: time (ISO 8601, UTC), level, event, and the facts under their own names."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            **getattr(record, "facts", {}),
            "time": f"{clock}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    text = _printable(text)
    return f'"{text}"' if " " in text or not text else text


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
