"""The command ``morph``: one job, whose takes are printed and copied as they are ready."""

from pathlib import Path
from typing import Any

from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.output import Output, counted
from tertium.cli.render import cancel, put
from tertium.errors import TertiumError
from tertium.safe_files import disk_errors
from tertium_protocol.client import Client
from tertium_protocol.messages import Done, Progress, Take, TakeInfo


def folder(text: str | None, *, force: bool) -> Path | None:
    """Return the folder to copy takes into, created if absent. Problems are detected before the job is sent.

    Raises:
        TertiumError: it is a file, its parent folder does not exist, or it contains takes and ``force`` is not given.
    """
    if text is None:
        return None
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise TertiumError(
            "path_refused", f"'{text}' is a file.", field="output", value=text, remedy="Name a folder for the takes."
        )
    if not path.parent.is_dir():
        raise TertiumError(
            "path_refused",
            f"There is no folder '{path.parent}'.",
            field="output",
            value=text,
            remedy="Create it first.",
        )
    if not force and any(path.glob("take-*.*")):
        raise TertiumError(
            "path_refused",
            f"There are takes in '{text}' already.",
            field="output",
            value=text,
            remedy="Choose another folder, or replace them with --force.",
        )
    with disk_errors(path):
        path.mkdir(exist_ok=True)
    return path


def make(fields: dict[str, Any], wanted: Wanted, folder: Path | None, force: bool, output: Output) -> None:
    """Run a morph; print each take as it is ready, and all of them in order at the end.

    Raises:
        KeyboardInterrupt: after cancelling the job; takes that were ready remain.
        RemoteError, JobCancelled, NoAnswer, NoDaemon, TertiumError: the morph failed.
    """
    with running_or_started(wanted, output) as client:
        copied: dict[int, str] = {}

        def copy_take(take: Take | TakeInfo) -> None:
            if folder is not None:
                path = folder / f"take-{take.index:02d}{Path(take.path).suffix}"
                put(Path(take.path).read_bytes(), path, replace=force)
                copied[take.index] = str(path)

        def on_take(take: Take) -> None:
            copy_take(take)
            output.note(f"take {take.index} of {take.count}: {copied.get(take.index, take.path)}")

        done = _await(client, fields, on_take, output)
        for take in done.takes or ():
            if folder is not None and take.index not in copied:  # its event may have been lost
                copy_take(take)
        output.result(
            done.wire() | ({"outputs": [copied[i] for i in sorted(copied)]} if copied else {}), _lines(done, copied)
        )


def _await(client: Client, fields: dict[str, Any], on_take, output: Output) -> Done:
    with output.progress("morph") as watch:

        def on_progress(event: Progress) -> None:
            watch(event.stage, event.fraction, event.seconds_left)

        job = client.submit("morph", on_progress=on_progress, on_take=on_take, **fields)
        try:
            return job.wait()
        except BaseException:  # also when a copy cannot be written
            cancel(job)
            raise


def _lines(done: Done, copied: dict[int, str]) -> list[str]:
    lines = []
    for take in done.takes or ():
        step = "the reference alone" if take.intervention is None else f"step {take.intervention:.4g}"
        lines.append(f"{take.index:3d}  blend {take.blend:.2f}  {step:20}  {copied.get(take.index, take.path)}")
    elapsed = f" in {done.elapsed:.1f} s" if done.elapsed is not None else ""
    lines.append(
        f"  {len(done.takes or ())} takes of {done.seconds:.2f} s{elapsed}, {counted(done.steps, 'step')}, seed {done.seed}"
    )
    return [*lines, *(f"  {note}" for note in done.notes)]
