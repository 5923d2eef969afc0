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
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from tertium import safe_files
from tertium.audio import files
from tertium.audio.levels import make_safe
from tertium.audio.signal import MAX_SECONDS, Audio
from tertium.audio.warp import ALL, Excerpt
from tertium.errors import SoundError
from tertium.storage.catalogue import Catalogue
from tertium.storage.publishing import describe, publish
from tertium.storage.result_names import free_names, latents_path, valid_name
from tertium.storage.sidecars import FOLDERS, Entry, as_json
from tertium.storage.sound import Sound, result_facts, shape, sound_id

__all__ = ["Library", "Sound", "latents_path", "sound_id"]
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
        folder = Path(home).absolute()
        self.sounds_folder, self.results_folder = (folder / name for name in FOLDERS)
        self._adder = adder
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple, str] = (
            OrderedDict()
        )  # ids of files that were added, by what identifies their content
        for each in (self.sounds_folder, self.results_folder):
            with safe_files.disk_errors(each):
                each.mkdir(parents=True, exist_ok=True)
            safe_files.clean(each)
        self.catalogue = Catalogue(folder)

    def reconcile(self) -> None:
        """Read what a process that was killed, or a person, has changed in the folders. To be called when a process starts that needs to know all results."""
        self.catalogue.reconcile()

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
                sound = self._adder.add_file(opened.file, opened.path, **given)
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
            return self._adder.add_samples(samples, int(sample_rate), **given)
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
        found = self.catalogue.find(wanted)
        if not found and self.catalogue.look_again():
            found = self.catalogue.find(wanted)
        if not found:
            raise _unknown(id_or_prefix, f"No sound has the id '{id_or_prefix}'.", "List the sounds, or add it again.")
        if len(found) > 1:
            raise _unknown(
                id_or_prefix, f"{len(found)} sounds have ids that begin with '{id_or_prefix}'.", "Give more digits."
            )
        if not self.catalogue.used(found[0]):
            raise _unknown(id_or_prefix, f"The sound '{found[0].name}' was just deleted.", "Add it again.")
        return found[0]

    def list(self, offset: int = 0, limit: int | None = None) -> list[Sound]:
        """Return sounds and results, newest first; of several with the same samples, only the newest.

        Args:
            offset: number of the newest to skip.
            limit: largest number to return; None for all.
        """
        return self.catalogue.page(offset, -1 if limit is None else limit)

    def count(self) -> int:
        """Return the number of sounds and results; several with the same samples are one."""
        return self.catalogue.count()

    def read(self, sound: Sound) -> Audio:
        """Read the samples of a sound in this library."""
        return replace(files.load(sound.path, max_seconds=float("inf"), field="sound"), layout=sound.layout)

    def of_job(self, job: str, take: int | None = None) -> Sound | None:
        """Return the stored result of a job, or of one of its takes; None if it has not been stored completely."""
        return self.catalogue.of_job(job, take)

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
        for stem in free_names(self.results_folder, valid_name(name), job=job, take=take):
            path = self.results_folder / f"{stem}.{format}"
            with contextlib.suppress(FileExistsError):  # another process took the name meanwhile
                sound = publish(path, data, about | {"name": stem}, {"recall": recall or {}}, latents)
                self.catalogue.put(Path(sound.sidecar))
                return sound
        raise AssertionError("the sequence of names is infinite")

    def keep(self, sound: str, *, kept: bool) -> Sound:
        """Mark a sound, or remove the mark: kept sounds are not removed. All files with the same samples are marked.

        Args:
            sound: its whole id.

        Raises:
            SoundError: ``disk_full``, ``path_refused``; ``unknown_sound`` if it has been deleted.
        """
        entries = self.catalogue.of_id(sound)
        for entry in entries:
            if entry.sound.kept != kept:
                self._rewrite(entry.sound, kept=kept)
        return self.get(sound)

    def delete(self, sound: str) -> int:
        """Delete all files of a sound, and those of others with the same samples; return the number of bytes.

        Args:
            sound: its whole id.

        Raises:
            SoundError: ``conflict`` if it is kept, or is being used at this moment; ``path_refused`` if a file cannot be removed.
        """
        entries = self.catalogue.of_id(sound)
        kept = next((entry.sound for entry in entries if entry.sound.kept), None)
        if kept is not None:
            raise SoundError(
                "conflict", f"The sound '{kept.name}' is kept.", field="sound", value=sound,
                remedy="Send keep with kept 0 first, if it may go.",
            )  # fmt: skip
        return sum(entry.bytes for entry in entries if self._deleted(entry))

    def _deleted(self, entry: Entry) -> bool:
        with safe_files.disk_errors(Path(entry.sound.path)):
            if self.catalogue.remove(entry):
                return True
        if entry.key in {one.key for one in self.catalogue.of_id(entry.sound.id)}:
            raise SoundError(
                "conflict", f"The sound '{entry.sound.name}' is being used.", field="sound", value=entry.sound.id,
                remedy="Send the request again.",
            )  # fmt: skip
        return False

    def _add(self, sound: Audio, *, name: str | None, default_name: str, origin: dict) -> Sound:
        sid = sound_id(sound.samples, sound.sample_rate)
        about = {"id": sid, "name": name or default_name, "notes": sound.notes, "layout": sound.layout}
        about |= shape(sound.samples, sound.sample_rate)
        format, data = files.encode_exactly(sound.samples, sound.sample_rate)
        path = self.sounds_folder / f"{sid}.{format}"
        for _ in range(RACES):
            # One that another process stored without the index lies under the name that this one would get.
            present = self.catalogue.newest(sid) or self.catalogue.put(path.with_suffix(".json"))
            if present and self.catalogue.used(present.sound):
                return self._renamed(present.sound, name or present.sound.name)
            path.with_suffix(".json").unlink(missing_ok=True)  # left by a deleted sound or a crashed writer
            with contextlib.suppress(FileExistsError):  # another process is adding the same sound: try again
                added = self._describe_or_publish(path, data, about, {"origin": origin})
                self.catalogue.put(Path(added.sidecar))
                return added
        raise SoundError(
            "busy", f"The sound '{about['name']}' is being added elsewhere.", remedy="Send the request again."
        )

    def _describe_or_publish(self, path: Path, data: bytes, about: dict, provenance: dict) -> Sound:
        """Write the sidecar of a file that has lost its own, in either format; or both."""
        there = next(filter(Path.exists, (path.with_suffix(f".{format}") for format in files.FORMATS)), None)
        return publish(path, data, about, provenance) if there is None else describe(there, about, provenance)

    def _unchanged(self, key: tuple, max_seconds: float) -> Sound | None:
        """The sound of a file that was added before and has not changed since, if it is still here."""
        with self._lock:
            found = self._files.get(key)
        present = self.catalogue.newest(found) if found is not None else None
        if present is None or present.sound.seconds > max_seconds or not self.catalogue.used(present.sound):
            return None
        return present.sound

    def _remember(self, key: tuple, sound: Sound) -> None:
        if time.time() - key[4] / 1e9 < SETTLED:
            return
        with self._lock:
            self._files[key] = sound.id
            self._files.move_to_end(key)
            while len(self._files) > MOST_FILES:
                self._files.popitem(last=False)

    def _renamed(self, sound: Sound, name: str) -> Sound:
        """Change a sound's name, which is only a label: the id and the file name depend on the samples."""
        if name == sound.name:
            return sound
        renamed = self._rewrite(sound, name=name)
        return replace(renamed, notes=(*sound.notes, f"known already as '{sound.name}', now called '{name}'"))

    def _rewrite(self, sound: Sound, **fields: Any) -> Sound:
        """Change fields of a sidecar. Raises SoundError: ``disk_full``, ``path_refused``."""
        sidecar = Path(sound.sidecar)
        with safe_files.disk_errors(sidecar):
            content = json.loads(sidecar.read_text(encoding="utf-8")) | fields
        safe_files.write_over(sidecar, as_json(content))
        self.catalogue.put(sidecar)
        return replace(sound, **fields)


def _unknown(value: str, message: str, remedy: str) -> SoundError:
    return SoundError("unknown_sound", message, field="sound", value=value, remedy=remedy)
