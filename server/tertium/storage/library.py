"""The sounds and results that the daemon keeps, each with a JSON sidecar that says what it is and where it came from.

``sounds/<id>.wav`` holds what clients gave, ``results/<name>.wav|flac`` what was made of it. The id of a sound is the SHA-256
of its samples, rate and channels. Nothing is ever overwritten. Several processes may use one library.
"""

from __future__ import annotations  # `list` is also a method here

import contextlib
import hashlib
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from tertium import __version__, file_names, safe_files
from tertium.audio import files
from tertium.audio.signal import MAX_SECONDS, Audio, make_safe, true_peak_dbtp
from tertium.audio.warp import ALL, Excerpt
from tertium.errors import SoundError
from tertium.file_names import LONGEST_BYTES

SHORTEST_PREFIX = 8
RACES = 3  # how often to look again when another process writes the same sound
SCHEMA = 1  # of the sidecars
ADDED = ("job", "take", "layout")  # which older sidecars do not have


@dataclass(frozen=True)
class Sound:
    """A sound in the library.

    Attributes:
        id: 64 hex digits.
        path: absolute path of the library's own file.
        frames, channels, sample_rate, seconds: its shape; frames are samples a channel, the rate is in Hz.
        name: what it is called.
        notes: what was converted or limited.
        created: ISO 8601, UTC.
        sidecar: absolute path of its JSON file; for a result, the recall sidecar.
        peak_dbtp: true peak of a result; None for silence and for sounds that were given.
        layout: which channel is which, where the file that was given told; see :class:`tertium.audio.signal.Audio`.
        job: id of the job that made a result, and its number among the takes of that job, if there are several.
    """

    id: str
    path: str
    frames: int
    channels: int
    sample_rate: int
    seconds: float
    name: str
    notes: tuple[str, ...]
    created: str
    sidecar: str
    peak_dbtp: float | None = None
    job: str | None = None
    take: int | None = None
    layout: str | None = None


def sound_id(samples: np.ndarray, sample_rate: int) -> str:
    """SHA-256, 64 hex digits, of the shape (channels, frames), the rate and the float32 samples, little-endian, zero without a sign."""
    digest = hashlib.sha256(f"{samples.shape[0]} {samples.shape[1]} {sample_rate}\n".encode())
    digest.update((np.ascontiguousarray(samples, dtype="<f4") + np.float32(0)).tobytes())
    return digest.hexdigest()


class Library:
    """The sounds under ``home``; safe to use from several threads.

    Args:
        read: reads clients' files, as :func:`tertium.audio.files.decoded` does.
    """

    def __init__(self, home: str | Path, *, read: Callable[..., Audio] = files.decoded):
        self.sounds_folder = Path(home).absolute() / "sounds"
        self.results_folder = Path(home).absolute() / "results"
        self._decoded = read
        self._lock = threading.Lock()
        self._sounds: dict[Path, Sound] = {}  # by sidecar
        for folder in (self.sounds_folder, self.results_folder):
            with safe_files.disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            safe_files.clean(folder)
        self.refresh()

    def refresh(self) -> None:
        """Take in what other processes have added since, and forget what was deleted. A sidecar that cannot be read is passed over."""
        with self._lock:
            self._sounds = {sidecar: sound for sidecar, sound in self._sounds.items() if _is_there(sound)}
            for folder in (self.sounds_folder, self.results_folder):
                for sidecar in set(folder.glob("*.json")) - self._sounds.keys():
                    sound = _read_sidecar(sidecar)
                    if sound is not None:
                        self._sounds[sidecar] = sound

    def add_path(
        self,
        path: str | Path,
        roots: Iterable[str | Path] | None,
        *,
        max_seconds: float = MAX_SECONDS,
        name: str | None = None,
        field: str = "path",
        excerpt: Excerpt = ALL,
    ) -> Sound:
        """Take a client's file, which must lie in one of ``roots`` (None: anywhere), or an ``excerpt`` of it, into the library.

        A sound that is there already stays as it is, but takes ``name`` if one is given, and says so in its notes. Nothing else changes a name.

        Raises:
            SoundError: of ``files.open_allowed``, ``files.read``, ``excerpts.to_length`` or ``files.write``; errors name ``field``.
        """
        walls = None if roots is None else [*roots, self.sounds_folder, self.results_folder]
        opened = safe_files.open_allowed(path, walls, field=field)
        own = opened.path
        with opened.file as file:
            sound = self._decoded(file, value=str(own), max_seconds=max_seconds, field=field, span=excerpt.span)
        files.check(sound, max_seconds=max_seconds, field=field, value=str(own))
        origin = {"path": str(own), **excerpt.facts()}
        return self._keep(excerpt.fit(sound), name=name, otherwise=own.stem, origin=origin)

    def add_samples(
        self,
        samples: np.ndarray,
        sample_rate: int,
        *,
        max_seconds: float = MAX_SECONDS,
        name: str | None = None,
        origin: dict | None = None,
        excerpt: Excerpt = ALL,
    ) -> Sound:
        """Take samples, float32 of shape (channels, frames), into the library; ``origin`` says where they came from. As ``add_path``.

        Raises:
            SoundError: of ``files.check``, ``excerpts.to_length`` or ``files.write``.
        """
        first, count = excerpt.span.frames(samples.shape[1], int(sample_rate), "the sound")
        part = np.ascontiguousarray(samples[:, first : first + count], dtype=np.float32)
        sound = Audio(part, int(sample_rate))
        files.check(sound, max_seconds=max_seconds)
        origin = {**(origin or {}), **excerpt.facts()}
        return self._keep(excerpt.fit(sound), name=name, otherwise="buffer", origin=origin)

    def get(self, id_or_prefix: str) -> Sound:
        """The sound with this id, or with this beginning of an id (8 hex digits or more) if it is the only one.

        Raises:
            SoundError: ``unknown_sound``.
        """
        wanted = id_or_prefix.lower()
        if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_PREFIX},64}}", wanted):
            raise _unknown(
                id_or_prefix, f"'{id_or_prefix[:80]}' is neither the id of a sound nor an absolute path.",
                f"Give {SHORTEST_PREFIX} to 64 hex digits of an id, or the whole path of a file.",
            )  # fmt: skip
        found = self._matching(wanted)
        if not found:
            self.refresh()
            found = self._matching(wanted)
        if not found:
            raise _unknown(id_or_prefix, f"No sound has the id '{id_or_prefix}'.", "List the sounds, or add it again.")
        if len(found) > 1:
            raise _unknown(
                id_or_prefix, f"{len(found)} sounds have ids that begin with '{id_or_prefix}'.", "Give more digits."
            )
        return _read_sidecar(Path(found[0].sidecar)) or found[0]  # another process may have given it another name

    def list(self) -> list[Sound]:
        """All sounds and results, newest first; of files with the same samples, the newest."""
        self.refresh()
        return sorted(self._matching(""), key=lambda sound: (sound.created, sound.id), reverse=True)

    def read(self, sound: Sound) -> Audio:
        """The samples of a sound of this library."""
        return replace(files.load(sound.path, max_seconds=float("inf"), field="sound"), layout=sound.layout)

    def made_by(self, job: str, take: int | None = None) -> Sound | None:
        """The result of a job, or of one of its takes, if it is here and whole: then that job need not be done again."""
        with self._lock:
            made = [sound for sound in self._sounds.values() if (sound.job, sound.take) == (job, take)]
        return next(filter(_is_there, made), None)

    def recall(self, result: Sound) -> dict:
        """What ``store_result`` got as ``recall``; empty where the sidecar cannot be read."""
        try:
            return json.loads(Path(result.sidecar).read_text(encoding="utf-8"))["recall"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def store_result(
        self,
        samples: np.ndarray,
        sample_rate: int,
        *,
        name: str,
        format: str = "wav",
        recall: dict | None = None,
        latents: bytes | None = None,
        job: str | None = None,
        take: int | None = None,
    ) -> Sound:
        """Keep what a job made, made safe (true peak at most -1 dBTP), as ``results/<name>.<format>`` with its recall sidecar.

        A name that is taken becomes name-2, name-3 …; the file name is never one that exists. One of more bytes than file systems take
        is cut at its end. All its files are kept or, on an error, none.

        Args:
            samples: float32, (channels, frames).
            sample_rate: Hz.
            name: stem of the file name, without folder.
            format: "wav" or "flac".
            recall: everything needed to make the sound again; the sidecar holds it under ``recall``.
            latents: content of a safetensors file to be kept beside the sound; see :func:`latents_path`.
            job, take: whose result it is; see :meth:`made_by`.

        Raises:
            SoundError: ``disk_full``, ``path_refused``, ``internal`` for samples that are not numbers, ``out_of_range`` for a name.
        """
        samples, notes = make_safe(samples, sample_rate)
        samples = files.stored(samples, format=format)
        peak = true_peak_dbtp(samples)
        notes += () if np.isfinite(peak) else ("silent: nothing came of it",)
        about = {
            "id": sound_id(samples, sample_rate), "notes": notes, "peak_dbtp": float(peak) if np.isfinite(peak) else None,
            **_shape(samples, sample_rate), "job": job, "take": take,
        }  # fmt: skip
        data = files.encode(samples, sample_rate, format=format)
        for stem in _names(_plain_name(name)):
            if _taken(self.results_folder, stem) and not _cleared(self.results_folder, stem, job=job, take=take):
                continue
            path = self.results_folder / f"{stem}.{format}"
            try:
                return self._publish(path, data, about | {"name": stem}, {"recall": recall or {}}, latents)
            except FileExistsError:
                continue
        raise AssertionError("there is always another name")

    def _keep(self, sound: Audio, *, name: str | None, otherwise: str, origin: dict) -> Sound:
        sid = sound_id(sound.samples, sound.sample_rate)
        path = self.sounds_folder / f"{sid}.wav"
        about = {"id": sid, "name": name or otherwise, "notes": sound.notes, "layout": sound.layout}
        about |= _shape(sound.samples, sound.sample_rate)
        data = files.encode(sound.samples, sound.sample_rate, format="wav")
        for _ in range(RACES):
            self.refresh()
            present = self._matching(sid)
            if present:
                return self._renamed(present[0], name or present[0].name)
            path.with_suffix(".json").unlink(missing_ok=True)  # of a file that was deleted, or of a writer that crashed
            with contextlib.suppress(FileExistsError):  # another process is adding the same sound: look again
                if path.exists():
                    return self._describe(path, about, {"origin": origin})
                return self._publish(path, data, about, {"origin": origin})
        raise SoundError(
            "busy", f"The sound '{about['name']}' is being added elsewhere.", remedy="Send the request again."
        )

    def _renamed(self, sound: Sound, name: str) -> Sound:
        """A sound under the name that was given last. What it is goes by its samples; the name is a label, the file keeps its own."""
        if name == sound.name:
            return sound
        sidecar = Path(sound.sidecar)
        with safe_files.disk_errors(sidecar):
            content = json.loads(sidecar.read_text(encoding="utf-8")) | {"name": name}
        safe_files.write_over(sidecar, _as_json(content))
        renamed = replace(sound, name=name)
        with self._lock:
            self._sounds[sidecar] = renamed
        return replace(renamed, notes=(*sound.notes, f"known already, as '{sound.name}': it is called '{name}' now"))

    def _publish(self, path: Path, data: bytes, about: dict, provenance: dict, latents: bytes | None = None) -> Sound:
        """Write the file, its latents and its sidecar. The sidecar takes the name first, so no sound stands without one; the sound comes
        last, so whatever ends this process, one that stands is whole.

        Raises:
            FileExistsError: one of the names is taken; nothing is left.
        """
        contents = {path: data} if latents is None else {latents_path(path): latents, path: data}
        parts, published = {}, []
        try:
            for target, content in contents.items():
                parts[target] = safe_files.write_part(target, content)
            sound = self._describe(path, about, provenance)
            try:
                for target, part in parts.items():
                    safe_files.publish(part, target)
                    published.append(target)
            except BaseException:
                for target in published:
                    target.unlink(missing_ok=True)
                self._forget(sound)
                raise
            return sound
        finally:
            for part in parts.values():
                part.unlink(missing_ok=True)

    def _describe(self, path: Path, about: dict, provenance: dict) -> Sound:
        sidecar = path.with_suffix(".json")
        about = about | {"created": datetime.now(UTC).isoformat(timespec="microseconds")}
        sound = Sound(path=str(path), sidecar=str(sidecar), **about)
        content = {"tertium": __version__, "schema": SCHEMA, **asdict(sound), "path": path.name, **provenance}
        del content["sidecar"]
        safe_files.write_whole(sidecar, _as_json(content))
        with self._lock:
            self._sounds[sidecar] = sound
        return sound

    def _forget(self, sound: Sound) -> None:
        Path(sound.sidecar).unlink(missing_ok=True)
        with self._lock:
            self._sounds.pop(Path(sound.sidecar), None)

    def _matching(self, beginning: str) -> list[Sound]:
        """Sounds that are there and whose ids begin so, one for each id."""
        with self._lock:
            found = [sound for sound in self._sounds.values() if sound.id.startswith(beginning)]
        newest_last = sorted(filter(_is_there, found), key=lambda sound: sound.created)
        return list({sound.id: sound for sound in newest_last}.values())


def _as_json(content: dict) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False, default=str).encode()


def latents_path(sound: str | Path) -> Path:
    """Where the latents lie that belong to a result."""
    return Path(sound).with_suffix(".safetensors")


def _is_there(sound: Sound) -> bool:
    return os.path.exists(sound.path)


def _shape(samples: np.ndarray, sample_rate: int) -> dict:
    channels, frames = samples.shape
    return {"frames": frames, "channels": channels, "sample_rate": int(sample_rate), "seconds": frames / sample_rate}


def _read_sidecar(sidecar: Path) -> Sound | None:
    """The sound that a sidecar tells of, or None if it is damaged or its sound is gone."""
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        about = {name: content[name] for name in Sound.__dataclass_fields__ if name not in ("sidecar", *ADDED)}
        about |= {name: content.get(name) for name in ADDED}
        about["notes"] = tuple(about["notes"])
        sound = Sound(**about | {"path": str(sidecar.parent / Path(content["path"]).name), "sidecar": str(sidecar)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return sound if _is_there(sound) else None


def _plain_name(name: str) -> str:
    if not file_names.is_plain(name):
        raise SoundError(
            "out_of_range", f"{name!r} cannot be the name of a file.", field="name", value=name,
            remedy="Choose a plain name without folder and extension.",
        )  # fmt: skip
    return name.encode("utf-8", "replace")[:LONGEST_BYTES].decode("utf-8", "ignore").rstrip(". ") or "result"


def _names(stem: str) -> Iterable[str]:
    return itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))


def _taken(folder: Path, stem: str) -> bool:
    return any((folder / f"{stem}.{suffix}").exists() for suffix in ("json", "safetensors", *files.FORMATS))


def _cleared(folder: Path, stem: str, *, job: str | None, take: int | None) -> bool:
    """Whether a name was taken by this very job alone, which was ended before the sound was there: then it has it back."""
    sidecar = folder / f"{stem}.json"
    try:
        content = json.loads(sidecar.read_text(encoding="utf-8"))
        own = job is not None and (content["job"], content["take"]) == (job, take)
        if not own or (folder / Path(content["path"]).name).exists():
            return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    latents_path(sidecar).unlink(missing_ok=True)
    sidecar.unlink(missing_ok=True)
    return not _taken(folder, stem)


def _unknown(value: str, message: str, remedy: str) -> SoundError:
    return SoundError("unknown_sound", message, field="sound", value=value, remedy=remedy)
