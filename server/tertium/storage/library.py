"""The library of sounds and results, each with a JSON sidecar that describes it and its origin.

Clients' sounds are stored as ``sounds/<id>.wav``, results as ``results/<name>.wav|flac``. The id of a sound is the SHA-256
of its samples, rate and channels. Files are never overwritten. Several processes may use one library.
"""

from __future__ import annotations  # `list` is also a method here

import contextlib
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from tertium import __version__, safe_files
from tertium.audio import files
from tertium.audio.signal import MAX_SECONDS, Audio, make_safe
from tertium.audio.warp import ALL, Excerpt
from tertium.errors import SoundError
from tertium.storage.result_names import is_used, latents_path, numbered, reclaim, valid_name
from tertium.storage.sound import SCHEMA, Sound, as_json, exists, read_sidecar, result_facts, shape, sound_id

SHORTEST_PREFIX = 8
RACES = 3  # attempts to add a sound that another process is adding too
MOST_FILES = 1024  # whose sounds are known without reading them again
SETTLED = 2.0  # seconds after which a change of a file shows in its time of modification for certain


class Adder(Protocol):
    """Something that adds sounds in another process."""

    def add_file(self, file: BinaryIO, path: Path, **given: Any) -> Sound: ...

    def add_samples(self, samples: np.ndarray, sample_rate: int, **given: Any) -> Sound: ...


class Library:
    """The sounds under ``home``; safe to use from several threads.

    Args:
        adder: adds files and samples in another process, with the signatures of :meth:`add_file` and :meth:`add_samples`; None to do so in this one.
    """

    def __init__(self, home: str | Path, *, adder: Adder | None = None):
        self.sounds_folder = Path(home).absolute() / "sounds"
        self.results_folder = Path(home).absolute() / "results"
        self._adder = adder
        self._lock = threading.Lock()
        self._sounds: dict[Path, Sound] = {}  # by sidecar
        self._files: OrderedDict[tuple, str] = (
            OrderedDict()
        )  # ids of files that were added, by what identifies their content
        for folder in (self.sounds_folder, self.results_folder):
            with safe_files.disk_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
            safe_files.clean(folder)
        self.refresh()

    def refresh(self) -> None:
        """Read sidecars that other processes added, and forget deleted sounds. Unreadable sidecars are skipped."""
        with self._lock:
            self._sounds = {sidecar: sound for sidecar, sound in self._sounds.items() if exists(sound)}
            for folder in (self.sounds_folder, self.results_folder):
                for sidecar in set(folder.glob("*.json")) - self._sounds.keys():
                    sound = read_sidecar(sidecar)
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
        """Add a client's file, which must be in one of ``roots`` (None: anywhere), or an ``excerpt`` of it.

        A sound that is present already is not stored again; a given ``name`` renames it, which is noted.

        Raises:
            SoundError: see :func:`safe_files.open_allowed`, :func:`files.read`, :meth:`Excerpt.fit` and :func:`files.write`;
                the error names ``field``.
        """
        allowed = None if roots is None else [*roots, self.sounds_folder, self.results_folder]
        with safe_files.open_allowed(path, allowed, field=field) as opened:
            state = os.fstat(opened.file.fileno())
            key = (opened.path, state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, str(excerpt.facts()))
            known = self._unchanged(key, max_seconds)
            if known is not None:
                return self._renamed(known, name or known.name)
            given = {"max_seconds": max_seconds, "name": name, "field": field, "excerpt": excerpt}
            if self._adder is None:
                sound = self.add_file(opened.file, opened.path, **given)
            else:
                sound = self._adopt(self._adder.add_file(opened.file, opened.path, **given))
        self._remember(key, sound)
        return sound

    def add_file(
        self, file: BinaryIO, path: Path, *, max_seconds: float, name: str | None, field: str, excerpt: Excerpt
    ) -> Sound:
        """Add an open file as :meth:`add_path` does, in this process.

        Args:
            path: where it was opened, for its name and its origin.
        """
        sound = files.decoded(file, value=str(path), max_seconds=max_seconds, field=field, span=excerpt.span)
        files.check(sound, max_seconds=max_seconds, field=field, value=str(path))
        origin = {"path": str(path), **excerpt.facts()}
        return self._add(excerpt.fit(sound), name=name, default_name=path.stem, origin=origin)

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
        """Add samples, float32 of shape (channels, frames), as :meth:`add_path` adds a file; ``origin`` is recorded
        in the sidecar.

        Raises:
            SoundError: see :func:`files.check`, :meth:`Excerpt.fit` and :func:`files.write`.
        """
        if self._adder is not None:
            given = {"name": name, "origin": origin or {}, "excerpt": excerpt}
            return self._adopt(self._adder.add_samples(samples, int(sample_rate), **given))
        first, count = excerpt.span.frames(samples.shape[1], int(sample_rate), "the sound")
        part = np.ascontiguousarray(samples[:, first : first + count], dtype=np.float32)
        sound = Audio(part, int(sample_rate))
        files.check(sound, max_seconds=max_seconds)
        origin = {**(origin or {}), **excerpt.facts()}
        return self._add(excerpt.fit(sound), name=name, default_name="buffer", origin=origin)

    def get(self, id_or_prefix: str) -> Sound:
        """Return the sound with this id, or with an id that begins so (8 hex digits or more) if there is only one.

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
        return read_sidecar(Path(found[0].sidecar)) or found[0]  # another process may have renamed it

    def list(self) -> list[Sound]:
        """Return all sounds and results, newest first; of several with the same samples, only the newest."""
        self.refresh()
        return sorted(self._matching(""), key=lambda sound: (sound.created, sound.id), reverse=True)

    def read(self, sound: Sound) -> Audio:
        """Read the samples of a sound in this library."""
        return replace(files.load(sound.path, max_seconds=float("inf"), field="sound"), layout=sound.layout)

    def of_job(self, job: str, take: int | None = None) -> Sound | None:
        """Return the stored result of a job, or of one of its takes; None if it has not been stored completely."""
        with self._lock:
            found = [sound for sound in self._sounds.values() if (sound.job, sound.take) == (job, take)]
        return next(filter(exists, found), None)

    def recall(self, result: Sound) -> dict:
        """Return the recipe that was given to :meth:`store_result`; empty if the sidecar cannot be read."""
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
        """Store a job's result as ``results/<name>.<format>`` with its sidecar, limited to a true peak of -1 dBTP.

        If the name is taken, it becomes name-2, name-3 …; one that is too long for file systems is truncated. On an error,
        no file is left.

        Args:
            samples: float32, (channels, frames).
            sample_rate: Hz.
            name: stem of the file name, without folder.
            format: "wav" or "flac".
            recall: the recipe, everything needed to compute the sound again; stored in the sidecar under ``recall``.
            latents: content of a safetensors file to be stored beside the sound; see :func:`latents_path`.
            job, take: id of the job and number of the take; see :meth:`of_job`.

        Raises:
            SoundError: ``disk_full``, ``path_refused``, ``internal`` for samples that are not finite, ``out_of_range`` for a name.
        """
        samples, notes = make_safe(samples, sample_rate)
        samples = files.stored(samples, format=format)
        about = result_facts(samples, sample_rate, notes) | {"job": job, "take": take}
        data = files.encode(samples, sample_rate, format=format)
        for stem in numbered(valid_name(name)):
            if is_used(self.results_folder, stem) and not reclaim(self.results_folder, stem, job=job, take=take):
                continue
            path = self.results_folder / f"{stem}.{format}"
            try:
                return self._publish(path, data, about | {"name": stem}, {"recall": recall or {}}, latents)
            except FileExistsError:
                continue
        raise AssertionError("the sequence of names is infinite")

    def _add(self, sound: Audio, *, name: str | None, default_name: str, origin: dict) -> Sound:
        sid = sound_id(sound.samples, sound.sample_rate)
        path = self.sounds_folder / f"{sid}.wav"
        about = {"id": sid, "name": name or default_name, "notes": sound.notes, "layout": sound.layout}
        about |= shape(sound.samples, sound.sample_rate)
        data = files.encode(sound.samples, sound.sample_rate, format="wav")
        for _ in range(RACES):
            self.refresh()
            present = self._matching(sid)
            if present:
                return self._renamed(present[0], name or present[0].name)
            path.with_suffix(".json").unlink(missing_ok=True)  # left by a deleted sound or a crashed writer
            with contextlib.suppress(FileExistsError):  # another process is adding the same sound: try again
                if path.exists():
                    return self._describe(path, about, {"origin": origin})
                return self._publish(path, data, about, {"origin": origin})
        raise SoundError(
            "busy", f"The sound '{about['name']}' is being added elsewhere.", remedy="Send the request again."
        )

    def _unchanged(self, key: tuple, max_seconds: float) -> Sound | None:
        """The sound of a file that was added before and has not changed since, if it is still here."""
        with self._lock:
            found = self._files.get(key)
        sounds = self._matching(found) if found is not None else []
        return sounds[0] if sounds and sounds[0].seconds <= max_seconds else None

    def _remember(self, key: tuple, sound: Sound) -> None:
        if time.time() - key[4] / 1e9 < SETTLED:
            return
        with self._lock:
            self._files[key] = sound.id
            self._files.move_to_end(key)
            while len(self._files) > MOST_FILES:
                self._files.popitem(last=False)

    def _adopt(self, sound: Sound) -> Sound:
        """Know a sound that another process has added."""
        with self._lock:
            self._sounds[Path(sound.sidecar)] = replace(sound, notes=sound.notes)
        return sound

    def _renamed(self, sound: Sound, name: str) -> Sound:
        """Change a sound's name, which is only a label: the id and the file name depend on the samples."""
        if name == sound.name:
            return sound
        sidecar = Path(sound.sidecar)
        with safe_files.disk_errors(sidecar):
            content = json.loads(sidecar.read_text(encoding="utf-8")) | {"name": name}
        safe_files.write_over(sidecar, as_json(content))
        renamed = replace(sound, name=name)
        with self._lock:
            self._sounds[sidecar] = renamed
        return replace(renamed, notes=(*sound.notes, f"known already as '{sound.name}', now called '{name}'"))

    def _publish(self, path: Path, data: bytes, about: dict, provenance: dict, latents: bytes | None = None) -> Sound:
        """Write the file, its latents and its sidecar.

        The sidecar is published first, so no sound lacks one, and the sound last, so that a sound that exists is complete
        even if this process is killed.

        Raises:
            FileExistsError: one of the files exists; none of the new ones is left.
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
        safe_files.write_whole(sidecar, as_json(content))
        with self._lock:
            self._sounds[sidecar] = sound
        return sound

    def _forget(self, sound: Sound) -> None:
        Path(sound.sidecar).unlink(missing_ok=True)
        with self._lock:
            self._sounds.pop(Path(sound.sidecar), None)

    def _matching(self, beginning: str) -> list[Sound]:
        """Return the existing sounds whose ids begin so, one for each id: the newest."""
        with self._lock:
            found = [sound for sound in self._sounds.values() if sound.id.startswith(beginning)]
        newest_last = sorted(filter(exists, found), key=lambda sound: sound.created)
        return list({sound.id: sound for sound in newest_last}.values())


def _unknown(value: str, message: str, remedy: str) -> SoundError:
    return SoundError("unknown_sound", message, field="sound", value=value, remedy=remedy)
