"""Job specifications: one frozen model for each queued command, with every value that was chosen when the job was
accepted.

The daemon creates a specification once, from a request; the journal stores it as JSON; the worker parses it. Rows written
by older versions lack fields that were added since. Those take the defaults below, which reproduce the older behaviour.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter


class Spec(BaseModel):
    """The fields of every job.

    Attributes:
        name: of the resulting sound, without extension.
        seed: 0 … 2^31 - 1.
        steps: of the sampling, or of the optimiser.
        format: wav or flac.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    seed: int
    steps: int
    format: str = "wav"

    def with_steps(self, steps: int) -> Self:
        """Return the same job with another number of steps."""
        return self.model_copy(update={"steps": steps})

    @property
    def sounds(self) -> frozenset[str]:
        """The ids of the sounds that the job needs."""
        named = (
            getattr(one, role, None)
            for one in (self, getattr(self, "learning", None))
            for role in ("original", "reference")
        )
        return frozenset(one for one in named if one is not None)


class Sampled(Spec):
    """The fields of every job that samples.

    Attributes:
        seconds: length of the sound; that of the original if there is one.
        order, eta, null: see :class:`tertium.engine.settings.Sampling`.
        sample_rate: of the result in Hz. None: that of the original or, without one, the model's.
    """

    seconds: float
    order: int = 3
    eta: float = 1.0
    null: str = "unconditional"
    sample_rate: int | None = None


class Generate(Sampled):
    """A sound sampled from noise.

    Attributes:
        guidance: None for the model's default.
        negative: prompt that guidance leads away from, in place of the null prompt.
        checkpoint: name of the checkpoint to sample with, if any.
        checkpoint_created: its creation time, which identifies it even after it is renamed.
    """

    command: Literal["generate"] = "generate"
    prompt: str
    guidance: float | None = None
    negative: str | None = None
    checkpoint: str | None = None
    checkpoint_created: str | None = None


class FromOriginal(Sampled):
    """The fields of every job that starts from a sound.

    Attributes:
        original: id of that sound.
        level: line, original or natural; see :mod:`tertium.worker.loudness_law`.
    """

    original: str
    level: str = "line"


class Vary(FromOriginal):
    """An audio-to-audio variation.

    Attributes:
        loop: auto, on or off.
        negative: as in :class:`Generate`.
    """

    command: Literal["vary"] = "vary"
    prompt: str | None = None
    strength: float
    guidance: float | None = None
    negative: str | None = None
    loop: str = "off"


class Invert(FromOriginal):
    """The latents of a sound at every noise level, and the sound sampled back from one of them."""

    command: Literal["invert"] = "invert"
    anchor: str
    reconstruct_from: int

    def with_steps(self, steps: int) -> Self:
        """Return the same job with another number of steps; the reconstruction starts at the same fraction of them."""
        along = round(self.reconstruct_from * steps / self.steps)
        return self.model_copy(update={"steps": steps, "reconstruct_from": along})


class Pair(FromOriginal):
    """The fields of every job on a pair of sounds.

    Attributes:
        reference: id of the reference sound; None if a checkpoint or a prompt leads.
        checkpoint, checkpoint_created: as in :class:`Generate`.
        prompt: None if a reference sound leads.
        completion_prompt, completion_guidance: of the completion; None for the null prompt.
        negative: as in :class:`Generate`, in the reference phase and in the completion.
        spread: of the latents; see :mod:`tertium.engine.fusion.evenness`.
        strength: how the original enters; see :data:`tertium.engine.fusion.knob.Strength`.
        align: what a reference sound is aligned by; see :mod:`tertium.audio.alignment`.
    """

    reference: str | None = None
    checkpoint: str | None = None
    checkpoint_created: str | None = None
    prompt: str | None = None
    hold: float
    anchor: str
    guidance: float
    completion_prompt: str | None = None
    completion_guidance: float = 1.0
    negative: str | None = None
    spread: float = 1.0
    strength: str = "paper"  # of jobs that were accepted before there was another
    align: str = "off"


class Fuse(Pair):
    """One fusion. Exactly one of ``blend`` and ``intervention`` is given.

    Attributes:
        place: between the two sounds, for level and spread; None for the blend, or that of the intervention.
    """

    command: Literal["fuse"] = "fuse"
    blend: float | None = None
    intervention: float | None = None
    place: float | None = None
    loop: str = "off"


class Morph(Pair):
    """Several fusions, spread over the window."""

    command: Literal["morph"] = "morph"
    count: int
    loop: str = "off"


class Window(Pair):
    """The measured window of a pair, and the fusion at its equilibrium."""

    command: Literal["window"] = "window"
    points: int


class Learn(Spec):
    """A training job. Fields that are None take the engine's defaults.

    Attributes:
        reference: id of the sound to learn.
        checkpoint: name for the resulting checkpoint.
        seconds: length of the excerpts that are trained on.
    """

    command: Literal["learn"] = "learn"
    reference: str
    checkpoint: str
    seconds: float
    prompt: str
    method: str = "lora"
    batch: int = 4
    rank: int = 16
    rate: float | None = None
    null_dropout: float | None = None
    ema: float | None = None


class Preview(Sampled):
    """The sound that a training job's prompt gives with the weights learned so far.

    Attributes:
        job: the training job's id.
        learning: the training job's specification.
    """

    command: Literal["preview"] = "preview"
    job: str
    learning: Learn
    prompt: str
    guidance: float = 1.0

    @property
    def generation(self) -> Generate:
        """The equivalent generate job."""
        return Generate(**self.model_dump(exclude={"command", "job", "learning"}))


JobSpec = Annotated[Generate | Vary | Invert | Fuse | Morph | Window | Learn | Preview, Discriminator("command")]
_ADAPTER: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def parse(command: str, fields: Mapping[str, Any]) -> JobSpec:
    """Parse the specification in a row of the journal, written by this version or an older one.

    Raises:
        ValueError: the fields do not match the command.
    """
    return _ADAPTER.validate_python({**fields, "command": command})
