"""The learned references: learning one, and what can be done with those in the daemon's folder."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path

from tertium import job_spec, safe_files
from tertium.audio.signal import SHORTEST
from tertium.daemon.config import default_roots
from tertium.daemon.handlers import resolve
from tertium.daemon.handlers.registry import Context, Services, handles
from tertium.daemon.handlers.render import seed
from tertium.daemon.handlers.resolve import file_stem, longest_sound
from tertium.daemon.handlers.submit import submit
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.errors import SoundError, TertiumError
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError, must_be_plain
from tertium.storage.checkpoints import Checkpoints
from tertium_protocol import messages as m

FIELDS = ("prompt", "method", "steps", "batch", "rank", "rate", "null_dropout", "ema", "format")


@handles("learn")
async def learn(services: Services, request: m.Learn, context: Context) -> None:
    await submit(services, request, context, learn_spec)


@handles("preview")
async def preview(services: Services, request: m.Preview, context: Context) -> None:
    await submit(services, request, context, preview_spec)


@handles("checkpoints")
async def checkpoints(services: Services, request: m.Checkpoints, context: Context) -> m.CheckpointsReply:
    found = await asyncio.to_thread(kept(services).list)
    return m.CheckpointsReply(checkpoints=tuple(info(services, one) for one in found))


@handles("rename_checkpoint")
async def rename(services: Services, request: m.RenameCheckpoint, context: Context) -> m.CheckpointInfo:
    return await _told(services, lambda: kept(services).rename(request.checkpoint, request.name))


@handles("delete_checkpoint")
async def delete(services: Services, request: m.DeleteCheckpoint, context: Context) -> m.CheckpointInfo:
    return await _told(services, lambda: kept(services).delete(request.checkpoint))


@handles("export_checkpoint")
async def export(services: Services, request: m.ExportCheckpoint, context: Context) -> m.CheckpointInfo:
    def write() -> tuple[Checkpoint, Path]:
        found = kept(services).get(request.checkpoint)
        return found, kept(services).export(found.name, _writable(services, request.path, context))

    found, path = await asyncio.to_thread(write)
    return info(services, found).model_copy(update={"path": str(path)})


@handles("import_checkpoint")
async def import_(services: Services, request: m.ImportCheckpoint, context: Context) -> m.CheckpointInfo:
    def read() -> Checkpoint:
        with _opened(services, request.path) as source:
            return kept(services).import_file(source, name=request.name)

    return await _told(services, read)


def _opened(services: Services, path: str) -> safe_files.OpenFile:
    try:
        return safe_files.open_allowed(path, services.allowed_folders.roots)
    except SoundError as error:  # what is opened here is no sound
        code = "unknown_checkpoint" if error.code == "unknown_sound" else error.code
        raise CheckpointError(code, error.message, field=error.field, value=error.value, remedy=error.remedy) from error


def learn_spec(services: Services, request: m.Learn) -> job_spec.Learn:
    """The specification of a training job. Raises TertiumError."""
    reference = resolve.sound(services, request.reference, field="reference")
    longest = longest_sound(services)
    if request.seconds is not None and request.seconds > longest:
        raise SoundError(
            "out_of_range", f"{services.settings.model} takes at most {longest:g} s; got {request.seconds:g}.", field="seconds",
            value=request.seconds, remedy=f"Ask for {longest:g} s or less.",
        )  # fmt: skip
    name = request.name or file_stem(reference.name)
    must_be_plain(name)
    if request.name is not None and not kept(services).is_free(name):
        raise CheckpointError(
            "conflict", f"There is a checkpoint '{name}' already.", field="name", value=name,
            remedy="Choose another name, or delete that one first.",
        )  # fmt: skip
    # What is too short is repeated as a whole, so that it comes as regularly as it would by itself.
    whole = reference.seconds * math.ceil(max(1.0, SHORTEST / reference.seconds))
    seconds = min(whole, longest) if request.seconds is None else request.seconds
    chosen = {field: getattr(request, field) for field in FIELDS}
    return job_spec.Learn(
        **chosen,
        seed=seed(request.seed),
        reference=reference.id,
        checkpoint=name,
        name=file_stem(f"{name} learned"),
        seconds=seconds,
    )


def preview_spec(services: Services, request: m.Preview) -> job_spec.Preview:
    """The specification of a preview. Raises TertiumError: unknown_job; conflict for a job that is no training job, has not begun or has ended."""
    job = services.jobs.get(request.job)
    _must_be_under_way(job)
    learning = job.spec
    return job_spec.Preview(
        job=job.id,
        learning=learning,
        prompt=learning.prompt,
        seconds=learning.seconds,
        steps=request.steps,
        seed=learning.seed if request.seed is None else request.seed,
        name=request.name or file_stem(f"{learning.checkpoint} preview"),
        format=request.format,
    )


def _must_be_under_way(job: Job) -> None:
    if job.command != "learn":
        problem, remedy = f"is no learning, but of {job.command}", "Give the id of a job of learn."
    elif job.state in TERMINAL:
        problem, remedy = (
            f"has ended: it is {job.state}",
            "Ask for the job: its result has the sound that the prompt gives.",
        )
        if job.state != "done":
            remedy = "What it had learned, if it had begun, is kept as a checkpoint."
    elif job.started is None:
        problem, remedy = "has not begun", "Ask again when its progress tells of a loss."
    else:
        return
    raise TertiumError("conflict", f"The job {job.id} {problem}.", field="job", value=job.id, remedy=remedy)


def kept(services: Services) -> Checkpoints:
    """The checkpoints in the daemon's folder."""
    return Checkpoints(services.home.checkpoints)


def info(services: Services, checkpoint: Checkpoint) -> m.CheckpointInfo:
    """A checkpoint as the protocol tells it."""
    shown = ("name", "model", "prompt", "reference", "method", "steps", "seconds", "bytes", "created")
    loaded = services.supervisor.model.get("fingerprint")
    return m.CheckpointInfo(
        **{name: getattr(checkpoint, name) for name in shown},
        path=str(checkpoint.folder),
        rank=checkpoint.rank or None,
        loss=checkpoint.losses[-1] if checkpoint.losses else None,
        usable=None if loaded is None else loaded == checkpoint.fingerprint,
    )


async def _told(services: Services, do: Callable[[], Checkpoint]) -> m.CheckpointInfo:
    return info(services, await asyncio.to_thread(do))


def _writable(services: Services, text: str, context: Context) -> Path:
    """What is asked for over OSC is written within allowed_folders even where there are none for reading: UDP does not say which user of the machine asks."""
    allowed_folders = services.allowed_folders.roots
    if context.session.transport != "osc":
        return safe_files.resolve(text, allowed_folders)
    return safe_files.resolve(
        text, default_roots(services.settings.home) if allowed_folders is None else allowed_folders
    )
