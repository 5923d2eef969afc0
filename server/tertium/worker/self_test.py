"""The self-test of a loaded model, and the measurement of its speed, before it is announced as ready."""

import gc
import time
import traceback
from collections.abc import Callable

import numpy as np

from tertium.cost_model import CostModel, measured
from tertium.errors import TertiumError
from tertium.job_spec import Fuse, Generate
from tertium.worker.engine_api import Engine

SECONDS = 1.0
FAINTEST = 1e-6  # a peak of -120 dBFS
CALIBRATION_SECONDS = 2.0
CALIBRATION_STEPS = (1, 3)
_FUSION = Fuse(
    name="self-test", seconds=SECONDS, original="tone", reference="noise", steps=2, seed=0, hold=0.2, anchor="clean", guidance=1.0, intervention=0,
)  # fmt: skip


_GENERATION = Generate(
    name="calibration", prompt="calibration", seconds=CALIBRATION_SECONDS, steps=1, seed=0, guidance=1.0
)


def loaded(
    load: Callable[..., Engine], *, precision: str, on_trouble: Callable[[Exception], None] = lambda error: None
) -> tuple[Engine, str | None]:
    """Load an engine and test it. If the test fails in half precision, load it again in float32.

    Args:
        load: loads the model in a ``precision``.
        on_trouble: called with the error in half precision.

    Returns:
        The engine, and a note if the precision was changed.

    Raises:
        TertiumError: ``model_unavailable`` if the test fails; and the errors of ``load``.
    """
    engine = load(precision=precision)
    reason, half = _fault(engine), engine.about["precision"]
    if reason is None:
        return engine, None
    if half == "fp32":
        raise cannot_compute(engine, reason) from reason
    on_trouble(reason)
    del engine
    gc.collect()
    engine = load(precision="fp32")
    if (again := _fault(engine)) is not None:
        raise cannot_compute(engine, again) from again
    return engine, f"{engine.about['name']} computes in fp32, since in {half} it failed its test ({described(reason)})"


def _fault(engine: Engine) -> Exception | None:
    try:
        check(engine)
    except Exception as error:
        return error.with_traceback(None)  # the traceback would hold the engine's tensors
    return None


def check(engine: Engine) -> None:
    """Fuse a tone with noise in two steps, and check the result.

    Raises:
        TertiumError: ``model_unavailable``: the result is not finite, or silent.
        Exception: any error of the engine.
    """
    rate, channels = engine.about["sample_rate"], engine.about["channels"]
    time_axis = np.arange(round(SECONDS * rate)) / rate
    tone = np.tile(0.5 * np.sin(2 * np.pi * 220 * time_axis), (channels, 1)).astype(np.float32)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, tone.shape).astype(np.float32)
    sounds = {"original": tone, "reference": noise}
    output = engine.perform(_FUSION, sounds=sounds, on_progress=lambda *_, **__: None).samples
    if not np.isfinite(output).all():
        raise _broken(engine, "its output is not finite")
    if float(np.abs(output).max()) < FAINTEST:
        raise _broken(engine, "its output is silent")


def _broken(engine: Engine, how: str) -> TertiumError:
    name, precision, device = (engine.about[key] for key in ("name", "precision", "device"))
    return TertiumError(
        "model_unavailable", f"{name} does not compute in {precision} on {device}: {how}.", field="model", value=name,
        remedy="Start with --device cpu, or replace the model's files if they may be damaged.",
    )  # fmt: skip


def cannot_compute(engine: Engine, error: Exception) -> TertiumError:
    """Return the error of a loaded model that failed the self-test."""
    return error if isinstance(error, TertiumError) else _broken(engine, described(error))


def described(error: Exception) -> str:
    """Return an error as one sentence without its period, for a note."""
    text = error.message if isinstance(error, TertiumError) else f"{type(error).__name__}: {error}"
    return text.strip().splitlines()[0][:200].rstrip(".")


def calibrated(engine: Engine) -> CostModel | None:
    """Measure the engine's costs in two short runs; None if they fail, in which case times are not estimated."""
    times = []
    for steps in CALIBRATION_STEPS[:1] + CALIBRATION_STEPS:  # the first run warms the engine up
        began = time.monotonic()
        try:
            engine.perform(_GENERATION.with_steps(steps), sounds={}, on_progress=lambda *_: None)
        except Exception as error:
            traceback.print_exception(error)
            return None
        times.append((steps, time.monotonic() - began))
    return measured(CALIBRATION_SECONDS, times[1], times[2])
