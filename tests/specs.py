"""Job specifications with default values for the fields that a test does not set."""

from tertium import job_spec

_SAMPLED = {"name": "made", "seed": 1, "steps": 5, "seconds": 0.5}
_PAIR = _SAMPLED | {"original": "a" * 64, "hold": 0.0, "anchor": "clean", "guidance": 1.0}
_FIELDS = {
    "generate": _SAMPLED | {"prompt": "x", "guidance": 1.0},
    "vary": _SAMPLED | {"original": "a" * 64, "strength": 0.5, "guidance": 1.0},
    "invert": _SAMPLED | {"original": "a" * 64, "anchor": "clean", "reconstruct_from": 3},
    "fuse": _PAIR | {"blend": 0.5},
    "morph": _PAIR | {"count": 3},
    "window": _PAIR | {"points": 12},
    "learn": {
        "name": "learned", "seed": 5, "steps": 8, "reference": "b" * 64, "checkpoint": "kept", "seconds": 0.5, "prompt": "a tone", "null_dropout": 0.3,
    },
}  # fmt: skip


def spec(command, **fields):
    """Return a specification for a command; ``fields`` override the defaults."""
    if fields.get("intervention") is not None:
        fields = {"blend": None} | fields
    return job_spec.parse(command, _FIELDS[command] | fields)
