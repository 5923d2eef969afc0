"""Measured windows on disk: one JSON file for each pair of sounds and the settings that its window depends on."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tertium import __version__, safe_files
from tertium.job_spec import Pair

SHAPING = (
    "original", "reference", "prompt", "guidance", "hold", "anchor", "order", "eta", "spread", "strength",
    "completion_prompt", "completion_guidance", "negative",
)  # fmt: skip
"""Fields of a fusion that its window depends on. The number of steps and the seed are not among them: the calibration
is in terms of noise-to-signal ratio."""
SCHEMA = 1


class WindowCache:
    """The windows in a folder.

    Args:
        folder: created when the first window is saved.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def find(self, spec: Pair, fingerprint: str) -> dict[str, Any] | None:
        """Return the saved window for a fusion; None if there is none, or its file is damaged.

        Args:
            spec: of a fuse, morph or window job; only the fields in ``SHAPING`` count.
            fingerprint: of the model's weights.
        """
        shape = _shape(spec, fingerprint)
        try:
            content = json.loads(self._path(shape).read_text(encoding="utf-8"))
            if content["schema"] == SCHEMA and content["of"] == shape and content["window"]["ratios"]:
                return content["window"]
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None

    def save(self, spec: Pair, fingerprint: str, window: Mapping[str, Any]) -> str:
        """Save a window, replacing an earlier one; returns the path of its file.

        Raises:
            SoundError: ``disk_full`` or ``path_refused``.
        """
        shape = _shape(spec, fingerprint)
        path = self._path(shape)
        content = {"tertium": __version__, "schema": SCHEMA, "of": shape, "window": dict(window) | {"path": str(path)}}
        with safe_files.disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        safe_files.write_over(path, json.dumps(content, indent=1).encode())
        return str(path)

    def _path(self, shape: Mapping[str, Any]) -> Path:
        digest = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()
        return self._folder / f"window-{digest[:32]}.json"


def _shape(spec: Pair, fingerprint: str) -> dict[str, Any]:
    shape = {name: getattr(spec, name) for name in SHAPING}
    # Defaults are left out, so that windows measured before these fields existed are still found.
    other = {} if spec.null == "unconditional" else {"null": spec.null}
    other |= {} if spec.align == "off" else {"align": spec.align}
    return {**shape, **other, "model": fingerprint}
