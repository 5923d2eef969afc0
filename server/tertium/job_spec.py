"""Job specifications: one frozen model for each command that takes time, holding everything that was chosen when the job was accepted.

The daemon makes a specification once, from a request; the journal keeps it as JSON; the worker reads it back. Rows of older journals lack the fields
that were added since: these take the defaults given here, which do what those versions did.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, TypeAdapter

SamplingCommand = Literal["generate", "vary", "invert", "fuse", "morph", "window"]


class Spec(BaseModel):
    """The fields of every job.

    Attributes:
        name: of the sound that comes out, without extension.
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
        """The same job in another number of steps."""
        return self.model_copy(update={"steps": steps})


class Sampled(Spec):
    """The fields of every job that samples.

    Attributes:
        seconds: of sound, as long as the original where there is one.
        order, eta, null: see :class:`tertium.engine.settings.Sampling`.
        sample_rate: of the result in Hz; None for the original's, else the model's.
    """

    seconds: float
    order: int = 3
    eta: float = 1.0
    null: str = "unconditional"
    sample_rate: int | None = None


class Generate(Sampled):
    """A sound from noise.

    Attributes:
        guidance: None for the model's own.
        checkpoint: the name of the checkpoint under which the sound is made, if there is one.
        checkpoint_created: when that was made, which identifies it under any later name.
    """

    command: Literal["generate"] = "generate"
    prompt: str
    guidance: float | None = None
    checkpoint: str | None = None
    checkpoint_created: str | None = None


class FromOriginal(Sampled):
    """The fields of every job that starts from a sound.

    Attributes:
        original: id of the sound.
    """

    original: str


class Vary(FromOriginal):
    """Audio-to-audio.

    Attributes:
        loop: auto, on or off.
    """

    command: Literal["vary"] = "vary"
    prompt: str | None = None
    strength: float
    guidance: float | None = None
    loop: str = "off"


class Invert(FromOriginal):
    """The latents of a sound at every noise level, and the sound sampled back from one of them."""

    command: Literal["invert"] = "invert"
    anchor: str
    reconstruct_from: int

    def with_steps(self, steps: int) -> Self:
        """The same job in another number of steps, reconstructed from as far along."""
        along = round(self.reconstruct_from * steps / self.steps)
        return self.model_copy(update={"steps": steps, "reconstruct_from": along})


class Pair(FromOriginal):
    """The fields of every job on a pair of sounds.

    Attributes:
        reference: id of the sound that leads; None where a checkpoint or a prompt does.
        checkpoint, checkpoint_created: as in :class:`Generate`.
        prompt: None where a sound leads.
    """

    reference: str | None = None
    checkpoint: str | None = None
    checkpoint_created: str | None = None
    prompt: str | None = None
    hold: float
    anchor: str
    guidance: float


class Fuse(Pair):
    """One fusion. Exactly one of ``blend`` and ``intervention`` is given."""

    command: Literal["fuse"] = "fuse"
    blend: float | None = None
    intervention: int | None = None
    loop: str = "off"


class Morph(Pair):
    """Several fusions along the window."""

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
        reference: id of the sound.
        checkpoint: the name that the result is to have.
        seconds: of sound, at a time.
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
    """The sound that the prompt of a training job gives so far.

    Attributes:
        job: the training job's id.
        learning: its specification.
    """

    command: Literal["preview"] = "preview"
    job: str
    learning: Learn
    prompt: str
    guidance: float = 1.0

    @property
    def generation(self) -> Generate:
        """The generation that the preview is."""
        return Generate(**self.model_dump(exclude={"command", "job", "learning"}))


JobSpec = Annotated[Generate | Vary | Invert | Fuse | Morph | Window | Learn | Preview, Discriminator("command")]
_ADAPTER: TypeAdapter[JobSpec] = TypeAdapter(JobSpec)


def parse(command: str, fields: Mapping[str, Any]) -> JobSpec:
    """The specification in a row of the journal, of this version or an older one.

    Raises:
        ValueError: the fields are not those of the command.
    """
    return _ADAPTER.validate_python({**fields, "command": command})
