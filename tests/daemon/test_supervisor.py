"""The supervisor and its worker process, without the rest of the daemon."""

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tertium.daemon.jobs.job import Job
from tertium.daemon.jobs.journal import Journal
from tertium.daemon.jobs.queue import JobQueue
from tertium.daemon.jobs.supervisor import Supervisor
from tertium.daemon.jobs.worker_process import WorkerProcess
from tertium.errors import TertiumError
from tertium.worker.device_faults import described, lost_the_device, ran_out_of_memory
from tertium.worker.recipe import versions
from tertium.worker_messages import Load
from tests.specs import spec

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def worker(tmp_path, monkeypatch):
    """A running supervisor; ``worker.jobs`` is its queue."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setenv("TERTIUM_FAKE_FOLDER", str(tmp_path))
    journal = Journal(tmp_path / "journal.sqlite")
    journal.open()
    jobs = JobQueue(journal, limit=10)
    load = a_load(tmp_path, model="fake", precision="fp32")
    worker = Supervisor(load, jobs, grace=0.3)
    worker.jobs = jobs
    task = asyncio.ensure_future(worker.run())
    yield worker
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    journal.close()


def a_load(home, *, model, precision="fp32"):
    return Load(engine="tests.worker.fake_engine", home=str(home), model=model, device="cpu", precision=precision)


def a_job(prompt, **more):
    return Job(request=json.dumps(prompt), fingerprint="f", spec=spec("generate", prompt=prompt), **more)


async def until(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_cancelled_job_that_does_not_stop_is_stopped_with_its_process(worker):
    job, after = a_job("stuck=1"), a_job("x")
    await worker.jobs.accept(job)
    await until(lambda: job.state == "running" and job.stage == "sample")
    first = worker._process.pid
    await worker.jobs.cancel(job, "Cancelled by request.")
    await worker.jobs.accept(after)
    await until(lambda: after.state == "done")
    assert (job.state, job.reason) == ("cancelled", "Cancelled by request.")
    assert worker._process.pid != first


async def test_a_job_that_is_cancelled_just_before_it_would_start_stops_nothing(worker):
    await until(lambda: worker.state == "ready")
    for turns in range(12):
        job = a_job(f"x{turns}")
        await worker.jobs.accept(job)
        for _ in range(turns % 6):
            await asyncio.sleep(0)
        await worker.jobs.cancel(job, "Cancelled by request.")
        await until(lambda job=job: job.state in ("cancelled", "done"))
    after = a_job("x")
    await worker.jobs.accept(after)
    await until(lambda: after.state == "done")


async def test_a_job_that_could_not_begin_in_time_fails_and_one_that_is_late_says_so(worker):
    missed, late = a_job("a", ready_by=time.time() - 1), a_job("step=0.2", ready_by=time.time() + 60)
    await worker.jobs.accept(missed)
    await worker.jobs.accept(late)
    await until(lambda: late.stage == "sample")
    late.due = time.monotonic()
    await until(lambda: late.state == "done")
    assert (missed.state, missed.error["code"]) == ("failed", "deadline")
    assert any("after its deadline" in note for note in late.result["notes"])


async def test_the_running_job_is_queued_again_when_the_daemon_stops(worker):
    job = a_job("step=0.1")
    await worker.jobs.accept(job)
    await until(lambda: job.state == "running")
    await worker.close()
    assert (job.state, worker.jobs.waiting) == ("queued", (job,))


async def test_the_worker_exits_when_its_input_ends(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    process = await WorkerProcess.start()
    process._process.stdin.close()  # as when the daemon is killed
    await asyncio.wait_for(process.wait(), 20)
    await process.end()


async def test_a_worker_with_invalid_output_is_killed(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr(
        "tertium.daemon.jobs.worker_process._START", "print('no JSON', flush=True); import time; time.sleep(60)"
    )
    process = await WorkerProcess.start()
    assert await asyncio.wait_for(process.receive(), 20) is None
    assert process.reason() == "sent something that is not a report"
    await process.end()


async def test_accepted_jobs_wait_while_the_model_is_unavailable(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    journal = Journal(tmp_path / "journal.sqlite")
    journal.open()
    jobs = JobQueue(journal, limit=10)
    worker = Supervisor(a_load(tmp_path, model="gated"), jobs, retry_after=0.2)
    waiting = a_job("x")
    await jobs.accept(waiting)
    task = asyncio.ensure_future(worker.run())
    await until(lambda: worker.state == "failed")
    assert (waiting.state, worker.problem.code, worker.problem.remedy) == (
        "queued",
        "model_unavailable",
        "Accept its licence.",
    )
    await until(lambda: worker._failures >= 3)  # retried without a request, ever more rarely
    worker._load = a_load(tmp_path, model="fake")  # as if the licence had been accepted
    await until(lambda: worker.state == "failed")
    worker.retry_loading()
    await until(lambda: waiting.state == "done")
    assert worker.problem is None and worker._failures == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    journal.close()


async def test_repeated_deaths_while_loading_fail_no_accepted_job(worker):
    await until(lambda: worker.state == "ready")
    accepted = [a_job(f"{number}") for number in range(5)]
    for job in accepted:
        await worker.jobs.accept(job)
    for _ in range(5):
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker._process.pid, signal.SIGKILL)
        await asyncio.sleep(0.15)
    await until(lambda: all(job.state == "done" for job in accepted))


async def test_a_hanging_worker_is_reported_and_replaced_and_its_job_is_done(worker, monkeypatch):
    monkeypatch.setattr("tertium.daemon.jobs.watchdog.MENTIONED", 1)
    monkeypatch.setattr("tertium.daemon.jobs.watchdog.SILENT", 3)
    job = a_job("step=0.2")
    await worker.jobs.accept(job)
    await until(lambda: job.state == "running" and job.stage == "sample")
    first = worker._process.pid
    os.kill(first, signal.SIGSTOP)
    await until(lambda: worker.message and "has not responded for" in worker.message)
    await until(lambda: job.state == "done")
    assert worker._process.pid != first and job.attempts == 2


async def test_a_job_without_progress_is_retried_and_then_fails(worker, monkeypatch):
    monkeypatch.setattr("tertium.daemon.jobs.watchdog.LEAST_STALL", 2.0)
    monkeypatch.setattr("tertium.daemon.jobs.watchdog.STALL_FACTOR", 0.0)
    job, after = a_job("stuck=1"), a_job("x")
    await worker.jobs.accept(job)
    await worker.jobs.accept(after)
    await until(lambda: after.state == "done")
    assert (job.state, job.error["code"]) == ("failed", "worker_died")
    assert job.error["message"] == "The worker process made no progress for 2 s, 2 times in this job."


async def _loaded(tmp_path, monkeypatch, model):
    """Return a supervisor whose worker has just tried to load a model in half precision."""
    monkeypatch.syspath_prepend(str(ROOT))
    journal = Journal(tmp_path / "journal.sqlite")
    journal.open()
    load = a_load(tmp_path, model=model, precision="fp16")
    worker = Supervisor(load, JobQueue(journal, limit=10))
    task = asyncio.ensure_future(worker.run())
    await until(lambda: worker.state in ("ready", "failed"))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    journal.close()
    return worker


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("whole-only", "RuntimeError: mixed dtype (CPU): expect parameter to have scalar type of Float"),
        ("nan-in-half", "nan-in-half does not compute in fp16 on cpu: its output is not finite"),
        ("silent-in-half", "silent-in-half does not compute in fp16 on cpu: its output is silent"),
    ],
)
async def test_a_model_that_fails_in_half_precision_computes_in_float32_and_says_so(
    tmp_path, monkeypatch, model, reason
):
    worker = await _loaded(tmp_path, monkeypatch, model)
    assert (worker.state, worker.model["precision"]) == ("ready", "fp32")
    assert worker.message == f"{model} computes in fp32, since in fp16 it failed its test ({reason})"


async def test_the_message_says_what_loading_waits_for(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    journal = Journal(tmp_path / "journal.sqlite")
    journal.open()
    worker = Supervisor(a_load(tmp_path, model="slow"), JobQueue(journal, limit=10))
    task = asyncio.ensure_future(worker.run())
    await until(lambda: worker.message == "fetching slow from the model hub")
    assert worker.state == "loading"
    await until(lambda: worker.state == "ready")
    assert worker.message is None
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    journal.close()


async def test_a_model_that_cannot_compute_is_never_ready(tmp_path, monkeypatch):
    worker = await _loaded(tmp_path, monkeypatch, "broken")
    assert (worker.state, worker.problem.code) == ("failed", "model_unavailable")
    assert worker.message == (
        "broken does not compute in fp32 on cpu: ZeroDivisionError: division by zero. "
        "Start with --device cpu, or replace the model's files if they may be damaged."
    )


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory: you tried"),
            True,
        ),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_count_as_out_of_memory(error, is_one):
    assert ran_out_of_memory(error) is is_one


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (RuntimeError("CUDA error: unspecified launch failure"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling cublasSgemm"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"), True),
        (RuntimeError("mixed dtype (CPU): expect parameter to have scalar type of Float"), False),
        (ValueError("CUDA error"), False),
    ],
)
def test_which_errors_count_as_a_lost_device(error, is_one):
    assert lost_the_device(error) is is_one


def test_torchs_own_exceptions_are_distinguished():
    torch = pytest.importorskip("torch")
    assert not lost_the_device(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"))
    assert lost_the_device(torch.AcceleratorError("CUDA error: the launch timed out and was terminated"))


async def test_a_device_that_is_lost_gets_a_fresh_process_which_does_the_job(worker):
    await until(lambda: worker.state == "ready")
    first, job = worker._process.pid, a_job("lost-once=2")
    await worker.jobs.accept(job)
    await until(lambda: job.state == "done")
    assert worker._process.pid != first and job.attempts == 2


@pytest.mark.parametrize(
    ("prompt", "code", "message", "remedy"),
    [
        (
            "lost=2", "worker_died", "The worker process lost its device (RuntimeError: CUDA error: unspecified launch failure), 2 times in this job.",
            "Close other programs that use the device, restart the computer, or start the daemon with --device cpu.",
        ),
        (
            "lost-memory=2", "out_of_memory", "There was not enough memory for this job.",
            "Use a shorter sound, or close other programs that use the device. The daemon keeps running.",
        ),
    ],
)  # fmt: skip
async def test_a_device_that_is_lost_again_fails_the_job_and_the_next_is_done(worker, prompt, code, message, remedy):
    job, after = a_job(prompt), a_job("x")
    await worker.jobs.accept(job)
    await worker.jobs.accept(after)
    await until(lambda: after.state == "done")
    assert (job.error["code"], job.error["message"], job.error["remedy"]) == (code, message, remedy)


def test_torchs_own_exception_counts_too():
    torch = pytest.importorskip("torch")
    assert ran_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))


def test_versions_name_what_the_samples_depend_on():
    assert {"tertium", "python", "torch", "numpy", "stable-audio-tools"} <= versions().keys()


def test_the_notes_of_an_error_are_part_of_its_message():
    error = TertiumError("out_of_range", "Learning went astray.", field="rate", remedy="Lower it.")
    error.add_note("It is kept as 'hum'.")
    assert (described(error)["message"], described(error)["remedy"]) == (
        "Learning went astray. It is kept as 'hum'.",
        "Lower it.",
    )
