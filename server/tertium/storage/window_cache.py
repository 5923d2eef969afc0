"""The measured windows, kept on disk: one JSON file for each pair under the settings that shape it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tertium import __version__, safe_files
from tertium.job_spec import Pair

SHAPING = ("original", "reference", "prompt", "guidance", "hold", "anchor", "order", "eta")
"""Fields of a fusion that its window depends on. The number of steps is not among them, nor is the seed: a calibration goes by noise-to-signal ratio."""
SCHEMA = 1


class WindowCache:
    """The windows in a folder.

    Args:
        folder: where they are; made when the first is kept.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def find(self, spec: Pair, fingerprint: str) -> dict[str, Any] | None:
        """The window that was measured for such a fusion, as ``keep`` got it; None where none was, or where its file is damaged.

        Args:
            spec: of a fusion, a morph or a window; only the fields of ``SHAPING`` count.
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

    def keep(self, spec: Pair, fingerprint: str, window: Mapping[str, Any]) -> str:
        """Keep a window, in place of one that was there; returns the path of its file.

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
    # Left out where it is the usual one: windows that were measured before there was another stay found.
    other = {} if spec.null == "unconditional" else {"null": spec.null}
    return {**shape, **other, "model": fingerprint}
