"""Writes ``src/daemon/protocol.js``, what the device knows of the protocol, from the command table: ``python -m
max_for_live.build.protocol_table``. With ``--check`` it says whether that is up to date.
"""

import json
import sys
from pathlib import Path

from tertium_protocol.codecs import osc_answers, osc_requests
from tertium_protocol.commands import COMMANDS
from tertium_protocol.messages import fields
from tertium_protocol.messages.events import EVENTS
from tertium_protocol.messages.requests import PROTOCOL_VERSION

MODULE = Path(__file__).parents[1] / "src/daemon/protocol.js"
HEAD = "// The protocol: commands with their fields, events, limits. Made by max_for_live/build/protocol_table.py: edit that, not this.\n"
REMEDY = "make docs"


def module() -> str:
    """The text of the module."""
    rows = "\n".join(
        f"    {name}: {json.dumps(list(row.request.model_fields))},"
        for name, row in COMMANDS.items()
        if "osc" in row.transports
    )
    values = {
        "PROTOCOL": json.dumps(PROTOCOL_VERSION),
        "COMMANDS": f"{{\n{rows}\n}}",
        "EVENTS": json.dumps(["reply", "item", "part", *EVENTS]),
        "MOST_PARTS": osc_answers.MOST_PARTS,
        "MOST_INCOMPLETE": osc_answers.MOST_INCOMPLETE,
        "LONGEST_PROMPT": fields.LONGEST_PROMPT,
        "LARGEST_DATAGRAM": osc_requests.LARGEST_DATAGRAM,
    }
    constants = "".join(f"const {name} = {value};\n" for name, value in values.items())
    return f"{HEAD}\n{constants}\nmodule.exports = {{ {', '.join(values)} }};\n"


def main(arguments: list[str]) -> int:
    """Write the module, or with ``--check`` compare it; returns the exit status."""
    new = module()
    if "--check" not in arguments:
        MODULE.write_text(new, encoding="utf-8")
        return 0
    same = MODULE.exists() and MODULE.read_text(encoding="utf-8") == new
    print(f"{MODULE.name} is {'up to date' if same else f'not up to date: {REMEDY}'}.")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
