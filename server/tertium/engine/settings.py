"""Settings of the operations, checked on construction."""

import math
from dataclasses import dataclass

from tertium.engine.fusion.entrance import first_point
from tertium.engine.fusion.inversion import ANCHORS, Anchor
from tertium.engine.fusion.knob import STRENGTHS, WINDOW, Strength, Turn, blend_to_intervention, even_turn, place_of
from tertium.engine.fusion.loops import Loop
from tertium.engine.sampling.conditioning import NULLS, Null
from tertium.engine.sampling.schedule import Schedule
from tertium.errors import TertiumError

MAX_STEPS = 500
MAX_SEED = 2**31 - 1
MAX_GUIDANCE = 30.0
MAX_COUNT = 32
MAX_POINTS = 64
MAX_EMA = 0.9999
RATES = {"lora": 6e-3, "full": 1e-3}
"""The default learning rate of each training method."""


class SettingError(TertiumError):
    """A setting is out of its range, or conflicts with another. Has ``field``, ``value`` and ``remedy``."""

    def __init__(self, message: str, *, field: str, value: object, remedy: str):
        super().__init__("out_of_range", message, field=field, value=value, remedy=remedy)


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """The settings of every sampling.

    Args:
        steps: N, 1 … 500.
        order: of the solver, 1, 2 or 3.
        eta: 0 (ODE) … 1 (SDE).
        seed: 0 … 2^31 - 1. The same seed gives the same samples on the same machine.
        null: the null prompt; see :data:`tertium.engine.sampling.conditioning.Null`.
        loop: the position of a loop within the original, which repeats before and after it; None where the original is
            not a loop.

    Raises:
        SettingError: a field out of its range.
    """

    steps: int = 50
    order: int = 3
    eta: float = 1.0
    seed: int = 0
    null: Null = "unconditional"
    loop: Loop | None = None

    def __post_init__(self):
        _check_whole("steps", self.steps, 1, MAX_STEPS)
        _check_whole("order", self.order, 1, 3)
        _check_real("eta", self.eta, 0.0, 1.0)
        _check_whole("seed", self.seed, 0, MAX_SEED)
        _check_choice("null", self.null, NULLS)


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(Sampling):
    """A sound generated from a prompt.

    Args:
        prompt: description of the sound; empty for no description.
        seconds: 0.5 … the model's maximum.
        guidance: 0 … 30, the weight of the prompt against the null prompt; None for the model's default.
        negative: a prompt that guidance leads away from, in place of the null prompt. Empty is equivalent to None.
    """

    prompt: str
    seconds: float
    guidance: float | None = None
    negative: str | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_text("prompt", self.prompt)
        _check_real("seconds", self.seconds, 0.0, math.inf)
        _check_optional_real("guidance", self.guidance, 0.0, MAX_GUIDANCE)
        _check_optional_text("negative", self.negative)


@dataclass(frozen=True, kw_only=True)
class VarySettings(Sampling):
    """A variation of a sound: noise is added to its latents and removed again under a prompt.

    Args:
        strength: 0 (the sound itself) … 1 (from the schedule's noisiest point): the fraction of the schedule that is
            sampled again.
        prompt: description of the sound; empty for the null prompt.
        guidance, negative: as in :class:`GenerateSettings`.
    """

    strength: float = 0.5
    prompt: str = ""
    guidance: float | None = None
    negative: str | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_real("strength", self.strength, 0.0, 1.0)
        _check_text("prompt", self.prompt)
        _check_optional_real("guidance", self.guidance, 0.0, MAX_GUIDANCE)
        _check_optional_text("negative", self.negative)

    @property
    def start(self) -> int:
        """The point of the schedule at which sampling starts, 0 … N."""
        return round((1.0 - self.strength) * self.steps)


@dataclass(frozen=True, kw_only=True)
class InvertSettings(Sampling):
    """The latents of a sound at every noise level.

    Args:
        anchor: see :data:`tertium.engine.fusion.inversion.Anchor`.
        reconstruct_from: the point, 0 (noisiest) … N (the sound's own round trip), from which the sound is
            reconstructed under the null prompt; None for no reconstruction.
    """

    anchor: Anchor = "clean"
    reconstruct_from: int | None = None

    def __post_init__(self):
        super().__post_init__()
        _check_choice("anchor", self.anchor, ANCHORS)
        if self.reconstruct_from is not None:
            _check_whole("reconstruct_from", self.reconstruct_from, 0, self.steps)


@dataclass(frozen=True, kw_only=True)
class PairSettings(Sampling):
    """The settings shared by all fusions of one pair.

    Args:
        hold: 0 … 1, the reference's weight in the completion.
        anchor: see :data:`tertium.engine.fusion.inversion.Anchor`.
        prompt: takes the place of a reference sound, with ``guidance``, 0 … 30. Empty is equivalent to None.
        completion_prompt: of the completion, with ``completion_guidance``, 0 … 30, in place of the null prompt (the
            "flexible guidance" of section 3.3). Empty is equivalent to None.
        negative: a prompt that guidance leads away from, in place of the null prompt, in the reference phase and in the
            completion.
        spread: 0 (the latents as the paper leaves them) … 1 (with the spread of the two sounds); see
            :mod:`tertium.engine.fusion.evenness`.
        strength: how the original enters; see :data:`tertium.engine.fusion.knob.Strength`.
        window: noise-to-signal ratios at evenly spaced blends; see :attr:`tertium.engine.window.Window.ratios`.
    """

    hold: float = 0.0
    anchor: Anchor = "clean"
    prompt: str | None = None
    guidance: float = 1.0
    completion_prompt: str | None = None
    completion_guidance: float = 1.0
    negative: str | None = None
    spread: float = 1.0
    strength: Strength = "even"
    window: tuple[float, ...] = WINDOW

    def __post_init__(self):
        super().__post_init__()
        _check_real("hold", self.hold, 0.0, 1.0)
        _check_choice("anchor", self.anchor, ANCHORS)
        _check_real("guidance", self.guidance, 0.0, MAX_GUIDANCE)
        _check_real("spread", self.spread, 0.0, 1.0)
        _check_choice("strength", self.strength, STRENGTHS)
        _check_real("completion_guidance", self.completion_guidance, 0.0, MAX_GUIDANCE)
        for name in ("prompt", "completion_prompt", "negative"):
            _check_optional_text(name, getattr(self, name))
        if len(self.window) < 2 or not all(math.isfinite(ratio) and ratio > 0 for ratio in self.window):
            raise _refusal("window", self.window, "two or more ratios above 0")

    def turn_at(self, blend: float, schedule: Schedule) -> Turn:
        """Return the turn of a blend, 0 … 1, on a schedule of ``steps`` steps."""
        if self.strength == "even":
            return even_turn(blend, schedule, window=self.window)
        return Turn(blend_to_intervention(blend, schedule, window=self.window), blend)

    @property
    def completion_rows(self) -> int:
        """Calls of the network a step of the completion takes, without those of a hold."""
        return 2 if self.completion_prompt and self.completion_guidance != 1.0 else 1

    def completion_steps(self, intervention: float | None, schedule: Schedule, canonical: Schedule) -> int:
        """Return the number of steps of the completion at an intervention; None is the reference alone."""
        if intervention is None or intervention >= self.steps:
            return 0
        return self.steps - first_point(intervention, schedule, strength=self.strength, canonical=canonical)

    def lead_steps(self, intervention: float | None) -> int:
        """Return the number of steps of the reference phase that a fusion at an intervention uses."""
        if intervention is None:
            return self.steps
        if intervention >= self.steps - (self.strength == "paper"):
            return 0
        return self.steps if self.strength == "even" else min(math.ceil(intervention) + 1, self.steps - 1)


@dataclass(frozen=True, kw_only=True)
class FuseSettings(PairSettings):
    """A fusion. Exactly one of ``blend`` and ``intervention`` is given.

    Args:
        blend: 0 (the reference) … 1 (the original).
        intervention: k, where the original enters, 0 … N; a fraction lies between two steps.
        place: where the result lies between the two sounds, 0 (the reference) … 1 (the original); with the strength
            ``paper``, where its spread lies. None for that of the blend or the intervention.
    """

    blend: float | None = None
    intervention: float | None = None
    place: float | None = None

    def __post_init__(self):
        super().__post_init__()
        if (self.blend is None) == (self.intervention is None):
            given = "both" if self.blend is not None else "neither"
            raise SettingError(
                f"A fusion needs either a blend or an intervention; it got {given}.",
                field="intervention",
                value=self.intervention,
                remedy="Give one of the two: blend, from 0 to 1, or intervention, a step.",
            )
        _check_optional_real("blend", self.blend, 0.0, 1.0)
        _check_optional_real("place", self.place, 0.0, 1.0)
        _check_optional_real("intervention", self.intervention, 0, self.steps)

    def turn_on(self, schedule: Schedule) -> Turn:
        """Return the turn of the knob on a schedule of ``steps`` steps."""
        if self.blend is None:
            turn = Turn(self.intervention, place_of(self.intervention, schedule))
        else:
            turn = self.turn_at(self.blend, schedule)
        return turn if self.place is None else Turn(turn.intervention, self.place)


@dataclass(frozen=True, kw_only=True)
class MorphSettings(PairSettings):
    """Several fusions of one pair, from the reference to the original.

    Args:
        count: number of fusions, 2 … 32, including the two ends.
    """

    count: int

    def __post_init__(self):
        super().__post_init__()
        _check_whole("count", self.count, 2, MAX_COUNT)


@dataclass(frozen=True, kw_only=True)
class WindowSettings(PairSettings):
    """The measurement of a pair's window.

    Args:
        points: greatest number of interventions to measure, 4 … 64.
    """

    points: int = 12

    def __post_init__(self):
        super().__post_init__()
        _check_whole("points", self.points, 4, MAX_POINTS)


@dataclass(frozen=True, kw_only=True)
class LearnSettings:
    """Training on one reference sound under a prompt.

    Args:
        prompt: the prompt to train the reference under.
        method: ``lora`` or ``full``.
        steps: of the optimiser, 1 … 100000.
        batch: rows in each step, 1 … 64.
        seconds: length of a training piece, 0.5 … the model's maximum: pieces of a longer reference start at random
            places, a shorter reference is repeated; None for the reference's own length.
        rank: of the LoRA, 1 … 256.
        rate: the highest learning rate, above 0 … 0.1; None for the method's default.
        null_dropout: 0 … 1, the share of rows trained under the null prompt. It draws the null model towards the
            reference.
        ema: 0 … 0.9999, decay of the running average of the weights, which then is the result; at 0 the result is the
            weights of the last step.
        seed: 0 … 2^31 - 1.
        checkpointing: compute activations twice and store few of them, for large models and long sounds.
        precision: of the network's products: ``fp32``, ``bf16``, or ``auto``: bf16 where the processor multiplies it,
            in about half the time. Trained weights and the optimiser's state are always float32.

    Raises:
        SettingError: a field out of its range.
    """

    prompt: str
    method: str = "lora"
    steps: int = 150
    batch: int = 4
    seconds: float | None = None
    rank: int = 16
    rate: float | None = None
    null_dropout: float = 0.3
    ema: float = 0.0
    seed: int = 0
    checkpointing: bool = False
    precision: str = "auto"

    def __post_init__(self):
        _check_text("prompt", self.prompt)
        if not self.prompt.strip():
            raise _refusal("prompt", self.prompt, "text that the reference shall answer to")
        if self.method not in RATES:
            raise _refusal("method", self.method, f"one of {', '.join(RATES)}")
        _check_whole("steps", self.steps, 1, 100000)
        _check_whole("batch", self.batch, 1, 64)
        _check_optional_real("seconds", self.seconds, 0.5, math.inf)
        _check_whole("rank", self.rank, 1, 256)
        _check_optional_real("rate", self.rate, 1e-7, 0.1)
        _check_real("null_dropout", self.null_dropout, 0.0, 1.0)
        _check_real("ema", self.ema, 0.0, MAX_EMA)
        _check_whole("seed", self.seed, 0, MAX_SEED)
        if self.precision not in ("auto", "fp32", "bf16"):
            raise _refusal("precision", self.precision, "one of auto, fp32, bf16")

    @property
    def peak_rate(self) -> float:
        """The highest learning rate: as given, or the method's own."""
        return RATES[self.method] if self.rate is None else self.rate


def _refusal(field: str, value: object, wanted: str) -> SettingError:
    return SettingError(
        f"{field} must be {wanted}; it is {value!r}.", field=field, value=value, remedy=f"Give {wanted}."
    )


def _check_whole(field: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _refusal(field, value, f"a whole number from {low} to {high}")


def _check_real(field: str, value: object, low: float, high: float) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise _refusal(
            field, value, f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number above {low:g}"
        )


def _check_optional_real(field: str, value: object, low: float, high: float) -> None:
    if value is not None:
        _check_real(field, value, low, high)


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str):
        raise _refusal(field, value, "text")


def _check_optional_text(field: str, value: object) -> None:
    if value is not None:
        _check_text(field, value)


def _check_choice(field: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise _refusal(field, value, f"one of {', '.join(known)}")
