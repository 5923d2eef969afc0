"""``fuse``, ``window``, ``learn``, ``preview``, ``invert``, ``generate`` and ``vary``: one job, its progress, its result, copies of it and a picture."""

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
"""What ends so is meant to be a file, and no checkpoint's name, though that may have dots in it."""
LED = ("fuse", "morph", "window")
"""What a checkpoint may lead; one is learned from a sound."""
CANCEL_SECONDS = 10.0


@dataclass(frozen=True)
class Copies:
    """What of a result is wanted where; None for nowhere.

    Args:
        sound: a file for the sound.
        latents: a file for an inversion's latents.
        plot: a PNG file for the spectrograms.
        force: replace files that exist.
    """

    sound: Path | None = None
    latents: Path | None = None
    plot: Path | None = None
    force: bool = False


def checked_fields(command: str, fields: dict[str, Any], output: str | None) -> dict[str, Any]:
    """The request's fields as they will be sent, refused here if the daemon would refuse them.

    Sounds become absolute paths; the format is that of the output file's name, if the request has none.

    Raises:
        ProtocolError, TertiumError: what is wrong with which field.
    """
    fields = dict(fields)
    if command == "generate":
        _must_be_no_sound(fields.get("reference"))
    for name in SOUND_FIELDS:
        if name in fields and command != "generate":
            fields[name] = _sound(fields[name], name, checkpoints=command in LED and name == "reference")
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


def _must_be_no_sound(reference: str | None) -> None:
    """Refuse a file where only what was learned can lead. Whether there is such a checkpoint, the daemon knows."""
    if reference is None or (CHECKPOINT.fullmatch(reference) and not reference.lower().endswith(SOUND_SUFFIXES)):
        return
    raise TertiumError(
        "unknown_checkpoint",
        f"'{reference}' names a sound, and generate takes the name of a checkpoint.",
        field="reference",
        value=reference,
        remedy="Learn the sound first, and give the checkpoint's name; or fuse another sound with it.",
    )


def copies(arguments: argparse.Namespace) -> Copies:
    """Where to copy what, refused if that cannot be done, before any work is.

    Raises:
        TertiumError: a file exists and may not be replaced, its folder does not, or its suffix is another.
    """
    invert = arguments.command == "invert"
    sound = arguments.reconstruct if invert else arguments.output
    wanted = Copies(
        sound=_target(sound, FORMATS, "reconstruct" if invert else "output", arguments.force),
        latents=_target(arguments.output, ("safetensors",), "output", arguments.force) if invert else None,
        plot=None if invert else _target(arguments.plot, ("png",), "plot", arguments.force),
        force=arguments.force,
    )
    return wanted


def _target(text: str | None, suffixes, field: str, force: bool) -> Path | None:
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
    """Have a job done and say what came of it.

    Raises:
        KeyboardInterrupt: after the job was cancelled.
        RemoteError, JobCancelled, NoAnswer, NoDaemon, TertiumError: it failed.
    """
    with running_or_started(wanted, output) as client:
        done = _await(client, command, fields, output)
        with _nothing_lost(done):
            kept = _keep(done, copies)
            if copies.plot:
                if command == "window":
                    from tertium.plots import window as window_plot

                    put(window_plot.draw(done.window), copies.plot, replace=copies.force)
                else:
                    _plot(client, fields, done, copies)
                kept["plot"] = str(copies.plot)
        output.result(done.wire() | kept, _lines(command, fields, done, kept))


@contextlib.contextmanager
def _nothing_lost(done: Done) -> Iterator[None]:
    """What goes wrong with a copy says where the sound itself is."""
    try:
        yield
    except TertiumError as error:
        remedy = f"The sound itself is kept: copy it from '{done.path}'."
        raise TertiumError(error.code, error.message, field=error.field, value=error.value, remedy=remedy) from error


def _await(client: Client, command: str, fields: dict[str, Any], output: Output) -> Done:
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
    """End a job that nobody waits for any more; it may end otherwise in the same moment."""
    with contextlib.suppress(JobCancelled, RemoteError, NoAnswer, NoDaemon):
        job.cancel()
        job.wait(CANCEL_SECONDS)


def _keep(done: Done, copies: Copies) -> dict[str, str]:
    kept = {}
    if copies.sound:
        put(Path(done.path).read_bytes(), copies.sound, replace=copies.force)
        kept["output"] = str(copies.sound)
    if copies.latents:
        if done.latents is None:
            raise TertiumError("internal", "The daemon kept no latents.", remedy="Update the daemon.")
        put(Path(done.latents).read_bytes(), copies.latents, replace=copies.force)
        kept["latents_output"] = str(copies.latents)
    return kept


def put(data: bytes, path: Path, *, replace: bool) -> None:
    """Write a file whole, over another only if ``replace``.

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


def _plot(client: Client, fields: dict[str, Any], done: Done, copies: Copies) -> None:
    from tertium.plots import spectrogram

    sounds = []
    for name in SOUND_FIELDS:
        with contextlib.suppress(RemoteError):  # a reference may be a checkpoint, which has no samples
            if name in fields:
                buffer = client.download(fields[name])
                sounds.append((name, buffer.to_array(), buffer.sample_rate))
    result = client.download(done.sound)
    sounds.append((_title(fields, done), result.to_array(), result.sample_rate))
    put(spectrogram.draw(sounds), copies.plot, replace=copies.force)


def _title(fields: dict[str, Any], done: Done) -> str:
    if done.intervention is not None:
        return f"result, intervention {done.intervention} of {done.steps}"
    return "result"


def window_lines(window: WindowInfo) -> list[str]:
    """A measured window in words: where the move happens, and how like both sounds each of its fusions is."""
    lines = [
        f"the window: from step {window.begin:.1f} to {window.end:.1f} of {window.steps}, equilibrium at {window.equilibrium:.1f}",
        "   step  original  reference  of neither",
    ]
    for point in window.points:
        step = "-" if point.intervention is None else str(point.intervention)
        lines.append(f"  {step:>5}  {point.original:8.2f}  {point.reference:9.2f}  {point.unexplained:10.2f}")
    return lines


def _lines(command: str, fields: dict[str, Any], done: Done, kept: dict[str, str]) -> list[str]:
    facts = [
        f"{done.seconds:.2f} s",
        f"{done.sample_rate} Hz",
        {1: "mono", 2: "stereo"}.get(done.channels, f"{done.channels} channels"),
    ]
    facts.append("silent" if done.peak_dbtp is None else f"peak {done.peak_dbtp:.1f} dBTP")
    if done.intervention is not None:
        facts.append(f"intervention {done.intervention} of {counted(done.steps, 'step')}")
    elif done.checkpoint is not None:
        facts.append(f"learned in {counted(done.steps, 'step')} to a loss of {done.loss:.4f}")
    elif done.steps is not None:
        facts.append(counted(done.steps, "step"))
    if done.learned is not None:
        facts.append(f"learned for {counted(done.learned, 'step')} to a loss of {done.loss:.4f}")
    facts += [f"seed {done.seed}"] if done.seed is not None else []
    facts += [f"made with {done.model}"] if done.model else []
    facts += [f"in {done.elapsed:.1f} s"] if done.elapsed is not None else []
    lines = [kept.get("output", done.path), f"  {', '.join(facts)}", *(f"  {note}" for note in done.notes)]
    if done.window is not None:
        lines = [*window_lines(done.window), f"the fusion at the equilibrium: {lines[0]}", *lines[1:]]
    if done.checkpoint:
        lines.append(f"  checkpoint: {done.checkpoint}, to be given as a reference")
    if done.latents:
        lines.append(f"  latents: {kept.get('latents_output', done.latents)}")
    if "plot" in kept:
        lines.append(f"  picture: {kept['plot']}")
    if done.seed is not None and "seed" not in fields and done.checkpoint is None and done.learned is None:
        lines.append(f"  again: the same command with --seed {done.seed}")
    return lines
