"""What a report measures: how much of everything, in full and in a tiny version that shows the tool itself to work."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evaluation.fine_tunes import Lesson

Pair = tuple[str, str]
"""Names of the original and of the reference."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured, and on what.

    Args:
        model: name or folder, as :func:`tertium.engine.models.loaded_model.load_model` takes it.
        device: as there.
        steps: N of every schedule.
        seconds: length of every sound.
        points: interventions tried for a window, at most.
        seed: of every sampling, where no other is named.
        seeds: of the generations from noise, where several are made.
        sounds: names in :data:`evaluation.sounds.SOUNDS`, for the reconstruction.
        starts: the fractions of the schedule from which originals are reconstructed.
        prompts: under which originals are sampled from their first latents.
        pairs: whose windows are measured with the reference as it is, under ``hold``.
        hold: of those.
        varied: pairs whose windows are measured with other anchors, orders and with the ODE.
        taught: references that are learned.
        taught_pairs: whose windows are measured with the learned reference; the reference is among ``taught``.
        taught_fully: the reference that is learned by full fine-tuning too.
        drawn: the pair of the plate of orders and of the noise maps, whose sounds are also those that ``prompts`` try; its reference is among ``taught``.
        dropouts: shares of null prompts in learning that are compared.
        dropout_pairs: with which pairs.
        lesson_steps, batch, rate: of learning; rate None for the engine's own.
    """

    model: str
    device: str = "auto"
    steps: int = 50
    seconds: float = 6.0
    points: int = 8
    seed: int = 0
    seeds: tuple[int, ...] = (0, 1)
    hold: float = 0.2
    sounds: tuple[str, ...] = (
        "drums", "hum", "glass rub", "voice bass", "chime", "guitar slide", "glitch", "robot", "bell", "tabla",
    )  # fmt: skip
    starts: tuple[float, ...] = (0.6, 0.74, 0.88, 0.96)
    prompts: tuple[str, ...] = ("drum loop electronic beat fast", "bell metallic large hall")
    pairs: tuple[Pair, ...] = (
        ("drums", "hum"), ("hum", "drums"), ("tabla", "glass rub"), ("guitar slide", "hum"), ("robot", "bell"),
        ("glitch", "voice bass"), ("rewind", "guitar slide"), ("chime", "glass rub"), ("tom", "chime"), ("bell", "robot"),
    )  # fmt: skip
    varied: tuple[Pair, ...] = (("drums", "hum"), ("guitar slide", "hum"), ("robot", "bell"))
    taught: tuple[str, ...] = ("hum", "drums", "glass rub")
    taught_fully: str = "drums"
    taught_pairs: tuple[Pair, ...] = (("drums", "hum"), ("hum", "drums"), ("tabla", "glass rub"))
    drawn: Pair = ("drums", "hum")
    dropouts: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5)
    dropout_pairs: tuple[Pair, ...] = (("drums", "hum"), ("guitar slide", "hum"))
    lesson_steps: int = 150
    batch: int = 4
    rate: float | None = None

    def lesson(self, reference: str, *, method: str = "lora", null_dropout: float | None = None) -> Lesson:
        """How a reference is learned: as everyone learns who sets nothing, but for what is named here."""
        chosen = {} if null_dropout is None else {"null_dropout": null_dropout}
        rate = self.rate if method == "lora" else None
        return Lesson(reference, method=method, steps=self.lesson_steps, batch=self.batch, rate=rate, **chosen)

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Plan":
        """The plan that was written down as settings, in JSON."""

        def tuples(value: Any) -> Any:
            return tuple(map(tuples, value)) if isinstance(value, list) else value

        return cls(**{name: tuples(value) for name, value in settings.items()})

    @property
    def is_tiny(self) -> bool:
        """Whether this measures too little to say anything of the method."""
        return len(self.pairs) < 10

    def step(self, fraction: float) -> int:
        """The step at a fraction of the schedule."""
        return round(fraction * self.steps)


def quick(model: str, device: str = "auto") -> Plan:
    """Everything once and tiny, on the two sounds that are shipped: for tests of the tool, not of the method."""
    return Plan(
        model=model, device=device, steps=6, seconds=0.6, points=4, seeds=(0,), sounds=("drums", "hum"), starts=(0.5,),
        prompts=("bell metallic",), pairs=(("drums", "hum"), ("hum", "drums")), varied=(("drums", "hum"),), taught=("hum",),
        taught_fully="hum", taught_pairs=(("drums", "hum"),), dropouts=(0.0, 0.3), dropout_pairs=(("drums", "hum"),), lesson_steps=2, batch=1,
    )  # fmt: skip
