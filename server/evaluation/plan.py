"""The plan of a report: its measurements, in full or in a tiny version that only tests the tool."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evaluation.fine_tunes import FineTune

Pair = tuple[str, str]
"""Names of the original and of the reference."""
_RECORDED = {
    "trained": "taught", "trained_pairs": "taught_pairs", "trained_fully": "taught_fully", "training_steps": "lesson_steps",
}  # fmt: skip
"""Names of fields in settings.json, where they differ."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of a report: the measurements and their sounds.

    Args:
        model: name or folder, as for :func:`tertium.engine.models.loaded_model.load_model`.
        device: as there.
        steps: N of every schedule, but for the paper's reconstructions.
        paper_steps: N of those: reconstruction, initial latent, appendices B and C.
        seconds: length of every sound.
        points: the maximum number of interventions that are tried for a window.
        seed: of every sampling that names no other.
        seeds: of the reconstructions, and of generations from noise.
        sounds: names in :data:`evaluation.sounds.SOUNDS`, for the reconstructions.
        starts: fractions of the schedule from which originals are reconstructed.
        prompts: under which originals are sampled: one each, in turn.
        pairs: pairs whose windows are measured with the instant reference, under ``hold``.
        hold: of those.
        varied: pairs whose windows are also measured with other anchors, and with the ODE.
        trained: references on which the model is fine-tuned.
        trained_pairs: pairs whose windows are measured with the fine-tuned model; their references are among ``trained``.
        trained_fully: the reference that also gets full fine-tuning.
        drawn: the pair of the plates, whose original is that of the noise maps.
        dropouts: shares of null prompts in training that are compared.
        dropout_pairs: with which pairs; each has another reference, since a reference's fine-tune is one value however many originals enter.
        training_steps, batch, rate: of fine-tuning; rate None for the engine's default.
    """

    model: str
    device: str = "auto"
    steps: int = 50
    paper_steps: int = 200
    seconds: float = 2.5
    points: int = 8
    seed: int = 0
    seeds: tuple[int, ...] = (0, 1, 2)
    hold: float = 0.2
    sounds: tuple[str, ...] = (
        "drums", "hum", "glass rub", "voice bass", "chime", "guitar slide", "glitch", "robot", "bell", "tabla",
    )  # fmt: skip
    starts: tuple[float, ...] = (0.7, 0.85, 0.95)
    prompts: tuple[str, ...] = ("drum loop electronic beat fast", "bell metallic large hall")
    pairs: tuple[Pair, ...] = (
        ("drums", "hum"), ("hum", "drums"), ("tabla", "glass rub"), ("guitar slide", "hum"), ("robot", "bell"),
        ("glitch", "voice bass"), ("rewind", "guitar slide"), ("chime", "glass rub"), ("tom", "chime"), ("bell", "robot"),
    )  # fmt: skip
    varied: tuple[Pair, ...] = (("drums", "hum"), ("guitar slide", "hum"), ("robot", "bell"))
    trained: tuple[str, ...] = ("hum", "drums", "glass rub")
    trained_fully: str = "drums"
    trained_pairs: tuple[Pair, ...] = (
        ("drums", "hum"), ("hum", "drums"), ("tabla", "glass rub"), ("guitar slide", "hum"), ("bell", "drums"), ("chime", "glass rub"),
    )  # fmt: skip
    drawn: Pair = ("drums", "hum")
    dropouts: tuple[float, ...] = (0.0, 0.3)
    dropout_pairs: tuple[Pair, ...] = (("drums", "hum"), ("hum", "drums"), ("tabla", "glass rub"))
    training_steps: int = 150
    batch: int = 4
    rate: float | None = None

    def fine_tune(self, reference: str, *, method: str = "lora", null_dropout: float | None = None) -> FineTune:
        """Return the fine-tune of a reference with the engine's default settings, except those given here and in the plan."""
        chosen = {} if null_dropout is None else {"null_dropout": null_dropout}
        rate = self.rate if method == "lora" else None
        return FineTune(reference, method=method, steps=self.training_steps, batch=self.batch, rate=rate, **chosen)

    def record(self) -> dict[str, Any]:
        """Return the settings as they are saved in settings.json."""
        return {_RECORDED.get(name, name): value for name, value in asdict(self).items()}

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Plan":
        """Return the plan from its :meth:`record`, after a round trip through JSON."""
        names = {recorded: name for name, recorded in _RECORDED.items()}

        def tuples(value: Any) -> Any:
            return tuple(map(tuples, value)) if isinstance(value, list) else value

        return cls(**{names.get(name, name): tuples(value) for name, value in settings.items()})

    @property
    def is_tiny(self) -> bool:
        """True if this measures too little to say anything about the method."""
        return len(self.pairs) < 10

    def step(self, fraction: float) -> int:
        """Return the step at a fraction of the schedule."""
        return round(fraction * self.steps)

    def paper_step(self, fraction: float) -> int:
        """Return the step at a fraction of the schedule of :attr:`paper_steps`."""
        return round(fraction * self.paper_steps)

    def prompt_of(self, sound: str) -> str:
        """Return the prompt under which an original of :attr:`sounds` is sampled."""
        return self.prompts[self.sounds.index(sound) % len(self.prompts)]


def quick(model: str, device: str = "auto") -> Plan:
    """Return a plan that measures everything once and tiny, on the two shipped sounds: a test of the tool, not of the method."""
    return Plan(
        model=model, device=device, steps=6, paper_steps=10, seconds=0.6, points=4, seeds=(0,), sounds=("drums", "hum"), starts=(0.5,),
        prompts=("bell metallic",), pairs=(("drums", "hum"), ("hum", "drums")), varied=(("drums", "hum"),), trained=("hum",),
        trained_fully="hum", trained_pairs=(("drums", "hum"),), dropouts=(0.0, 0.3), dropout_pairs=(("drums", "hum"),), training_steps=2, batch=1,
    )  # fmt: skip
