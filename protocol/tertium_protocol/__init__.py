"""The Tertium protocol: messages, their OSC and ZeroMQ encodings, and a Python client. PROTOCOL.md is normative.

Importing this package does not load a transport; ``from tertium_protocol.client import Client`` does.
"""

from tertium_protocol.commands import COMMANDS, Command, describe, find_command, parse_request
from tertium_protocol.errors import ERROR_CODES, ProtocolError
from tertium_protocol.messages.events import Answer
from tertium_protocol.messages.requests import PROTOCOL_VERSION

__all__ = [
    "COMMANDS",
    "ERROR_CODES",
    "PROTOCOL_VERSION",
    "Answer",
    "Command",
    "ProtocolError",
    "describe",
    "find_command",
    "parse_request",
]
