"""The commands for training jobs and their checkpoints: learn, preview, list, rename, delete, export and import."""

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
from tertium.daemon.handlers.submit import queued
from tertium.daemon.jobs.job import TERMINAL, Job
from tertium.errors import SoundError, TertiumError
from tertium.storage.checkpoint_format import Checkpoint, CheckpointError, must_be_plain
from tertium.storage.checkpoints import Checkpoints
from tertium_protocol import messages as m

FIELDS = ("prompt", "method", "steps", "batch", "rank", "rate", "null_dropout", "ema", "format")


@handles("checkpoints")
async def checkpoints(services: Services, request: m.Checkpoints, context: Context) -> m.CheckpointsReply:
    found = await asyncio.to_thread(checkpoints_of(services).list)
    return m.CheckpointsReply(checkpoints=tuple(info(services, one) for one in found))


@handles("rename_checkpoint")
async def rename(services: Services, request: m.RenameCheckpoint, context: Context) -> m.CheckpointInfo:
    return await _info_of(services, lambda: checkpoints_of(services).rename(request.checkpoint, request.name))


@handles("delete_checkpoint")
async def delete(services: Services, request: m.DeleteCheckpoint, context: Context) -> m.CheckpointInfo:
    return await _info_of(services, lambda: checkpoints_of(services).delete(request.checkpoint))


@handles("export_checkpoint")
async def export(services: Services, request: m.ExportCheckpoint, context: Context) -> m.CheckpointInfo:
    def write() -> tuple[Checkpoint, str]:
        checkpoints, path = checkpoints_of(services), _writable(services, request.path, context)
        found = checkpoints.get(request.checkpoint)
        if services.helpers is None:
            return found, str(checkpoints.export(found.name, path))
        return found, services.helpers.export_checkpoint(checkpoints.folder, found.name, path, size=found.bytes)

    found, path = await asyncio.to_thread(write)
    return info(services, found).model_copy(update={"path": path})


@handles("import_checkpoint")
async def import_(services: Services, request: m.ImportCheckpoint, context: Context) -> m.CheckpointInfo:
    def read() -> Checkpoint:
        checkpoints = checkpoints_of(services)
        with _opened(services, request.path) as source:
            if services.helpers is None:
                return checkpoints.import_file(source, name=request.name)
            name = services.helpers.import_checkpoint(checkpoints.folder, source.file, source.path, name=request.name)
            return checkpoints.get(name)

    return await _info_of(services, read)


def _opened(services: Services, path: str) -> safe_files.OpenFile:
    try:
        return safe_files.open_allowed(path, services.allowed_folders.roots)
    except SoundError as error:  # the file to open is not a sound
        code = "unknown_checkpoint" if error.code == "unknown_sound" else error.code
        raise CheckpointError(code, error.message, field=error.field, value=error.value, remedy=error.remedy) from error


@queued("learn")
def learn_spec(services: Services, request: m.Learn) -> job_spec.Learn:
    """Return the specification of a training job. Raises TertiumError."""
    reference = resolve.sound(services, request.reference, field="reference")
    longest = longest_sound(services)
    if request.seconds is not None and request.seconds > longest:
        raise SoundError(
            "out_of_range", f"{services.settings.model} takes at most {longest:g} s; got {request.seconds:g}.", field="seconds",
            value=request.seconds, remedy=f"Ask for {longest:g} s or less.",
        )  # fmt: skip
    name = request.name or file_stem(reference.name)
    must_be_plain(name)
    if request.name is not None and not checkpoints_of(services).is_free(name):
        raise CheckpointError(
            "conflict", f"There is a checkpoint '{name}' already.", field="name", value=name,
            remedy="Choose another name, or delete that one first.",
        )  # fmt: skip
    # A sound below the model's minimum is repeated as a whole, which keeps its period.
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


@queued("preview")
def preview_spec(services: Services, request: m.Preview) -> job_spec.Preview:
    """Return the specification of a preview. Raises TertiumError: unknown_job; conflict if the job is not a training job, has not started or has ended."""
    job = services.jobs.get(request.job)
    _must_be_in_progress(job)
    training = job.spec
    return job_spec.Preview(
        job=job.id,
        learning=training,
        prompt=training.prompt,
        seconds=training.seconds,
        steps=request.steps,
        seed=training.seed if request.seed is None else request.seed,
        name=request.name or file_stem(f"{training.checkpoint} preview"),
        format=request.format,
    )


def _must_be_in_progress(job: Job) -> None:
    if job.command != "learn":
        problem, remedy = (
            f"is not a training job: its command is {job.command}",
            "Give the id of a training job (command learn).",
        )
    elif job.state in TERMINAL:
        problem, remedy = (
            f"has ended: it is {job.state}",
            "Request the job's result: it contains the sound generated from the prompt.",
        )
        if job.state != "done":
            remedy = "If it completed any steps, their result is saved as a checkpoint."
    elif job.started is None:
        problem, remedy = "has not started yet", "Try again once its progress reports a loss."
    else:
        return
    raise TertiumError("conflict", f"The job {job.id} {problem}.", field="job", value=job.id, remedy=remedy)


def checkpoints_of(services: Services) -> Checkpoints:
    """Return the checkpoints in the daemon's folder."""
    return Checkpoints(services.home.checkpoints)


def info(services: Services, checkpoint: Checkpoint) -> m.CheckpointInfo:
    """Return the protocol's description of a checkpoint."""
    shown = ("name", "model", "prompt", "reference", "method", "steps", "seconds", "bytes", "created")
    loaded = services.supervisor.model.get("fingerprint")
    return m.CheckpointInfo(
        **{name: getattr(checkpoint, name) for name in shown},
        path=str(checkpoint.folder),
        rank=checkpoint.rank or None,
        loss=checkpoint.losses[-1] if checkpoint.losses else None,
        usable=None if loaded is None else loaded == checkpoint.fingerprint,
    )


async def _info_of(services: Services, action: Callable[[], Checkpoint]) -> m.CheckpointInfo:
    """Run an action on a checkpoint in a thread and describe the checkpoint that it returns."""
    return info(services, await asyncio.to_thread(action))


def _writable(services: Services, text: str, context: Context) -> Path:
    """Return the path to write to. Over OSC it must lie in an allowed folder even if reading is unrestricted: UDP does not reveal which user of the machine sent a request."""
    allowed_folders = services.allowed_folders.roots
    if context.session.transport != "osc":
        return safe_files.resolve(text, allowed_folders)
    return safe_files.resolve(
        text, default_roots(services.settings.home) if allowed_folders is None else allowed_folders
    )
