"""Writes the words of the protocol into ``tertium.js``: ``python max_for_live/src/words.py``, or with ``--check`` says whether they are up to date.

What lies between ``// begin words`` and ``// end words`` is made from the command table, so that the script and the daemon cannot drift apart.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from tertium_protocol.codecs import osc_answers, osc_requests
from tertium_protocol.commands import COMMANDS
from tertium_protocol.messages import fields
from tertium_protocol.messages.events import EVENTS
from tertium_protocol.messages.requests import PROTOCOL_VERSION

SCRIPT = Path(__file__).with_name("tertium.js")
_MARKED = re.compile(r"(// begin words\n).*?(// end words\n)", re.DOTALL)


def words() -> str:
    """The generated lines."""
    rows = "\n".join(
        f"    {name}: {json.dumps(list(row.request.model_fields))},"
        for name, row in COMMANDS.items()
        if "osc" in row.transports
    )
    events = ["reply", "item", "part", *EVENTS]
    return (
        f'const PROTOCOL = "{PROTOCOL_VERSION}";\n'
        f"const COMMANDS = {{\n{rows}\n}};\n"
        f"const EVENTS = {json.dumps(events)};\n"
        f"const MOST_PARTS = {osc_answers.MOST_PARTS};\n"
        f"const MOST_INCOMPLETE = {osc_answers.MOST_INCOMPLETE};\n"
        f"const LONGEST_PROMPT = {fields.LONGEST_PROMPT};\n"
        f"const LARGEST_DATAGRAM = {osc_requests.LARGEST_DATAGRAM};\n"
    )


def written(text: str) -> str:
    """The script with its words made anew.

    Raises:
        ValueError: the script lacks the marks.
    """
    if len(_MARKED.findall(text)) != 1:
        raise ValueError(f"{SCRIPT.name} must have one part from “// begin words” to “// end words”.")
    return _MARKED.sub(lambda part: part[1] + words() + part[2], text)


def main(arguments: list[str]) -> int:
    """Write the script, or with ``--check`` compare it; returns the exit status."""
    old = SCRIPT.read_text(encoding="utf-8")
    new = written(old)
    if "--check" in arguments:
        print("The words are up to date." if old == new else "The words are out of date: run max_for_live/src/words.py")
        return 0 if old == new else 1
    SCRIPT.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
