"""The commands ``fuse``, ``window``, ``learn``, ``preview``, ``invert``, ``generate`` and ``vary``: run one job, show its progress, print and copy its
result, and plot it."""

import argparse
import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tertium import safe_files
from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.output import Output, counted
from tertium.errors import TertiumError
from tertium_protocol.client import Client, Job, JobCancelled, NoAnswer, NoDaemon, RemoteError
from tertium_protocol.commands import parse_request
from tertium_protocol.messages import FORMATS, Done, Progress, WindowInfo

SOUND_FIELDS = ("original", "reference")
SOUND_ID = re.compile(r"[0-9a-fA-F]{8,64}")
CHECKPOINT = re.compile(r"[^/\\.~][^/\\]*")
SOUND_SUFFIXES = (".wav", ".flac", ".aiff", ".aif", ".ogg", ".mp3", ".m4a")
"""Endings that mark a reference as a file, although a checkpoint's name may contain dots too."""
CHECKPOINT_COMMANDS = ("fuse", "morph", "window")
"""Commands whose reference may be a checkpoint as well as a sound."""
CANCEL_SECONDS = 10.0


@dataclass(frozen=True)
class Copies:
    """The files to copy a result to; None for no copy.

    Args:
        sound: file for the sound.
        latents: file for an inversion's latents.
        plot: PNG file for the spectrograms or the window.
        force: replace existing files.
    """

    sound: Path | None = None
    latents: Path | None = None
    plot: Path | None = None
    force: bool = False


def checked_fields(command: str, fields: dict[str, Any], output: str | None) -> dict[str, Any]:
    """Validate the request's fields and complete them.

    Sounds become absolute paths; the format defaults to that of the output file.

    Raises:
        ProtocolError, TertiumError: a field is invalid.
    """
    fields = dict(fields)
    if command == "generate":
        _refuse_sound(fields.get("reference"))
    for name in SOUND_FIELDS:
        if name in fields and command != "generate":
            fields[name] = _sound(
                fields[name], name, checkpoints=command in CHECKPOINT_COMMANDS and name == "reference"
            )
    if output and command != "invert" and "format" not in fields:
        fields["format"] = _suffix(output, FORMATS, "output")
    parse_request(command, fields)
    return fields


def _sound(text: str, field: str, *, checkpoints: bool) -> str:
    path = os.path.abspath(os.path.expanduser(text))
    named = checkpoints and CHECKPOINT.fullmatch(text) and not text.lower().endswith(SOUND_SUFFIXES)
    if os.path.exists(path) and not (named and os.path.isdir(path)):
        return path
    if SOUND_ID.fullmatch(text) or named:
        return text
    raise TertiumError(
        "unknown_sound",
        f"There is no file '{text}'.",
        field=field,
        value=text,
        remedy="Check the path, or give the id of a sound.",
    )


def _refuse_sound(reference: str | None) -> None:
    """Refuse a file in place of a checkpoint's name. Only the daemon knows whether the checkpoint exists."""
    if reference is None or (CHECKPOINT.fullmatch(reference) and not reference.lower().endswith(SOUND_SUFFIXES)):
        return
    raise TertiumError(
        "unknown_checkpoint",
        f"'{reference}' names a sound, but generate takes the name of a checkpoint.",
        field="reference",
        value=reference,
        remedy="Learn the sound first, and give the checkpoint's name; or fuse another sound with it.",
    )


def copies(arguments: argparse.Namespace) -> Copies:
    """Return the files to copy the result to. Problems are detected before the job is sent.

    Raises:
        TertiumError: a file exists and may not be replaced, its folder does not exist, or its suffix is wrong.
    """
    invert = arguments.command == "invert"
    sound = arguments.reconstruct if invert else arguments.output
    return Copies(
        sound=target(sound, FORMATS, "reconstruct" if invert else "output", arguments.force),
        latents=target(arguments.output, ("safetensors",), "output", arguments.force) if invert else None,
        plot=None if invert else target(arguments.plot, ("png",), "plot", arguments.force),
        force=arguments.force,
    )


def target(text: str | None, suffixes, field: str, force: bool) -> Path | None:
    """Return the file to write, or None if none is named.

    Args:
        suffixes: those that it may have, without dots.
        field: its name in errors.
        force: it may exist.

    Raises:
        TertiumError: it exists and may not be replaced, its folder does not exist, or its suffix is wrong.
    """
    if text is None:
        return None
    path = Path(text).expanduser().absolute()
    _suffix(text, suffixes, field)
    if not path.parent.is_dir():
        raise TertiumError(
            "path_refused", f"There is no folder '{path.parent}'.", field=field, value=text, remedy="Create it first."
        )
    if path.is_dir() or (path.exists() and not force):
        kind = "is a folder" if path.is_dir() else "exists already"
        raise TertiumError(
            "path_refused",
            f"'{text}' {kind}.",
            field=field,
            value=text,
            remedy="Choose another name, or replace a file with --force.",
        )
    return path


def _suffix(text: str, suffixes, field: str) -> str:
    suffix = Path(text).suffix.lower().removeprefix(".")
    if suffix not in suffixes:
        listed = " or ".join(f".{suffix}" for suffix in suffixes)
        raise TertiumError(
            "out_of_range",
            f"'{text}' does not end in {listed}.",
            field=field,
            value=text,
            remedy=f"Give a name that ends in {listed}.",
        )
    return suffix


def make(command: str, fields: dict[str, Any], wanted: Wanted, copies: Copies, output: Output) -> None:
    """Run a job, copy and plot its result as requested, and print it.

    Raises:
        KeyboardInterrupt: after cancelling the job.
        RemoteError, JobCancelled, NoAnswer, NoDaemon, TertiumError: the job or a copy failed.
    """
    with running_or_started(wanted, output) as client:
        done = awaited(client, command, fields, output)
        with _copy_errors(done):
            copied = _copy(done, copies)
            if copies.plot:
                put(_plot(client, command, fields, done), copies.plot, replace=copies.force)
                copied["plot"] = str(copies.plot)
        output.result(done.wire() | copied, _lines(command, fields, done, copied))


@contextlib.contextmanager
def _copy_errors(done: Done) -> Iterator[None]:
    """Add the location of the daemon's own file to errors in copying."""
    try:
        yield
    except TertiumError as error:
        remedy = f"The sound itself is saved: copy it from '{done.path}'."
        raise TertiumError(error.code, error.message, field=error.field, value=error.value, remedy=remedy) from error


def awaited(client: Client, command: str, fields: dict[str, Any], output: Output) -> Done:
    """Run a job with its progress shown, and return its end.

    Raises:
        KeyboardInterrupt: after cancelling the job.
        RemoteError, JobCancelled, NoAnswer, NoDaemon: the job failed.
    """
    with output.progress(command) as watch:

        def on_progress(event: Progress) -> None:
            stage = event.stage if event.loss is None else f"{event.stage}, loss {event.loss:.3f}"
            watch(stage, event.fraction, event.seconds_left)

        job = client.submit(command, on_progress=on_progress, **fields)
        try:
            return job.wait()
        except KeyboardInterrupt:
            cancel(job)
            raise


def cancel(job: Job) -> None:
    """Cancel a job after an interruption; ignore errors, since it may end by itself at the same moment."""
    with contextlib.suppress(JobCancelled, RemoteError, NoAnswer, NoDaemon):
        job.cancel()
        job.wait(CANCEL_SECONDS)


def _copy(done: Done, copies: Copies) -> dict[str, str]:
    copied = {}
    if copies.sound:
        put(Path(done.path).read_bytes(), copies.sound, replace=copies.force)
        copied["output"] = str(copies.sound)
    if copies.latents:
        if done.latents is None:
            raise TertiumError("internal", "The daemon returned no latents.", remedy="Update the daemon.")
        put(Path(done.latents).read_bytes(), copies.latents, replace=copies.force)
        copied["latents_output"] = str(copies.latents)
    return copied


def put(data: bytes, path: Path, *, replace: bool) -> None:
    """Write a file atomically; replace an existing one only if ``replace``.

    Raises:
        TertiumError: ``path_refused`` if it exists, ``disk_full``.
    """
    part = safe_files.write_part(path, data)
    try:
        if replace:
            with safe_files.disk_errors(path):
                os.replace(part, path)
        else:
            safe_files.publish(part, path)
    except FileExistsError as error:
        raise TertiumError(
            "path_refused",
            f"'{path}' exists already.",
            field="output",
            value=str(path),
            remedy="Choose another name, or give --force.",
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _plot(client: Client, command: str, fields: dict[str, Any], done: Done) -> bytes:
    """Draw the window, or the spectrograms of the sounds and the result, as a PNG file's bytes."""
    if command == "window":
        from tertium.plots import window

        return window.draw(done.window)
    from tertium.plots import spectrogram

    sounds = []
    for name in SOUND_FIELDS:
        with contextlib.suppress(RemoteError):  # a reference may be a checkpoint, which has no samples
            if name in fields:
                buffer = client.download(fields[name])
                sounds.append((name, buffer.to_array(), buffer.sample_rate))
    result = client.download(done.sound)
    sounds.append((_title(fields, done), result.to_array(), result.sample_rate))
    return spectrogram.draw(sounds)


def _title(fields: dict[str, Any], done: Done) -> str:
    if done.intervention is not None:
        return f"result, intervention {done.intervention:.4g} of {done.steps}"
    return "result"


def window_lines(window: WindowInfo) -> list[str]:
    """Return a measured window as lines: its position, and the similarity of each of its fusions to both sounds."""
    lines = [
        f"the window: from step {window.begin:.1f} to {window.end:.1f} of {window.steps}, equilibrium at {window.equilibrium:.1f}",
        "   step  original  reference  unexplained",
    ]
    for point in window.points:
        step = "-" if point.intervention is None else f"{point.intervention:.4g}"
        lines.append(f"  {step:>5}  {point.original:8.2f}  {point.reference:9.2f}  {point.unexplained:11.2f}")
    return lines


def _lines(command: str, fields: dict[str, Any], done: Done, copied: dict[str, str]) -> list[str]:
    facts = [
        f"{done.seconds:.2f} s",
        f"{done.sample_rate} Hz",
        {1: "mono", 2: "stereo"}.get(done.channels, f"{done.channels} channels"),
    ]
    facts.append("silent" if done.peak_dbtp is None else f"peak {done.peak_dbtp:.1f} dBTP")
    if done.intervention is not None:
        facts.append(f"intervention {done.intervention:.4g} of {counted(done.steps, 'step')}")
    elif done.checkpoint is not None:
        facts.append(f"learned in {counted(done.steps, 'step')} to a loss of {done.loss:.4f}")
    elif done.steps is not None:
        facts.append(counted(done.steps, "step"))
    if done.learned is not None:
        facts.append(f"learned for {counted(done.learned, 'step')} to a loss of {done.loss:.4f}")
    facts += [f"seed {done.seed}"] if done.seed is not None else []
    facts += [f"made with {done.model}"] if done.model else []
    facts += [f"in {done.elapsed:.1f} s"] if done.elapsed is not None else []
    lines = [copied.get("output", done.path), f"  {', '.join(facts)}", *(f"  {note}" for note in done.notes)]
    if done.window is not None:
        lines = [*window_lines(done.window), f"the fusion at the equilibrium: {lines[0]}", *lines[1:]]
    if done.checkpoint:
        lines.append(f"  checkpoint: {done.checkpoint}, for use as a reference")
    if done.latents:
        lines.append(f"  latents: {copied.get('latents_output', done.latents)}")
    if "plot" in copied:
        lines.append(f"  plot: {copied['plot']}")
    if done.seed is not None and "seed" not in fields and done.checkpoint is None and done.learned is None:
        lines.append(f"  again: the same command with --seed {done.seed}")
    return lines
