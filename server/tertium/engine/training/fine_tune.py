"""Learning one reference sound under its prompt, so that the prompt alone gives it back, and the null prompt leans towards it.

The objective is the one that the model was trained with, as stable-audio-tools has it. With latents z, noise e and a time t, the
network sees alpha z + sigma e and learns, by mean squares,

    v        alpha e - sigma z      alpha = cos(t pi / 2), sigma = sin(t pi / 2)      t in 0.15 … 1
    flows    e - z                  alpha = 1 - t,         sigma = t                  t in 0 … 1

Times of v begin a little before that of sigma / alpha = 0.3, where schedules end. They lie denser towards noise, t = 1 - (1 - first) u^SKEW with u spread evenly:
at high noise a model must know by heart where in the sound it is, which takes longest to learn, rhythms above all. The rows of a batch share out
the range of u, one in each of its equal parts (Kingma et al., arXiv 2107.00630, appendix I.1).
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from tertium.engine.inputs import check_sound, looped
from tertium.engine.models.loaded_model import MIN_SECONDS, LoadedModel
from tertium.engine.sampling.conditioning import Conditioning
from tertium.engine.settings import LearnSettings, SettingError
from tertium.engine.training import adapters
from tertium.errors import TertiumError

BETAS, WEIGHT_DECAY, LARGEST_GRADIENT = (0.9, 0.99), 0.0, 1.0
OPTIMISER_PARTS = ("step", "exp_avg", "exp_avg_sq")
WARM_UP, PLATEAU = 10, 0.6
FIRST_TIME = {"v": 0.15}
SKEW = 1.5


class TrainingFailed(TertiumError):
    """The loss is no finite number any more. The weights are those before the step at which that showed."""

    def __init__(self, step: int, rate: float):
        super().__init__(
            "out_of_range", f"Learning went astray at step {step}: the loss is no finite number.", field="rate", value=rate,
            remedy=f"Give a lower rate than {rate:g}.",
        )  # fmt: skip


class Learner:
    """A model that learns one reference, step by step. It shares nothing that it changes with the model that it began with.

    All chance comes from one generator of its own, and between steps its state is whole: it can be kept and taken up again, and goes on
    as if nothing had been.

    Args:
        model: the base.
        reference: audio (channels, samples) at the model's rate; encoded once.
        settings: what to learn and how.

    Attributes:
        model: the fine-tuned model as it is at the moment.
        step: how many steps have been taken.
        losses: of each step.
        seconds: length of what is learned at a time.

    Raises:
        SoundError: ``reference`` is not what this model takes.
        SettingError: ``seconds`` is longer than the model takes.
    """

    def __init__(self, model: LoadedModel, reference: torch.Tensor, settings: LearnSettings):
        check_sound(model, reference, "reference", longest=False)
        self.settings, self.step, self.losses = settings, 0, []
        self.seconds, audio = _training_audio(model, reference, settings)
        self._latents = model.encode(audio)
        self._frames = min(model.frames(round(self.seconds * model.sample_rate)), self._latents.shape[-1])
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._base_dtype, self._lower = model.dtype, _lower_precision(model, settings)
        if settings.method == "lora":
            base = adapters.full_view(model) if model.dtype == torch.float16 else model  # in fp16 gradients vanish
            self.model = adapters.lora_view(base, rank=settings.rank, generator=self._generator)
        else:
            self.model = adapters.full_view(model)
        self._parameters = adapters.learned_parameters(self.model, settings.method)
        for parameter in self._parameters.values():
            parameter.requires_grad_(True)
        self._average = (
            {name: parameter.detach().clone() for name, parameter in self._parameters.items()} if settings.ema else {}
        )
        fused = model.device.type in ("cpu", "cuda")
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=settings.peak_rate, betas=BETAS, weight_decay=WEIGHT_DECAY, fused=fused
        )
        prompted = model.condition(settings.prompt, seconds=self.seconds).to(model.device, self.model.dtype)
        self._prompted, self._null = prompted.expand(settings.batch), prompted.null().expand(settings.batch)

    def run(self, on_step: Callable[[int, float | None], None] = lambda step, loss: None) -> None:
        """Take the steps that are left.

        Args:
            on_step: called before each step with its number and the loss of the one before (None before the first). What it raises stops the learning between
                two steps, whole: ``run`` may be called again.

        Raises:
            TrainingFailed: the loss is no finite number.
        """
        while self.step < self.settings.steps:
            on_step(self.step, self.losses[-1] if self.losses else None)
            self.take_step()

    def take_step(self) -> float:
        """One step of the optimiser; returns its loss.

        Raises:
            TrainingFailed: the loss, or its gradient, is no finite number; the weights stay as they were.
        """
        generator_before = self._generator.get_state()
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.settings.steps, peak=self.settings.peak_rate)
        self._optimiser.zero_grad(set_to_none=True)
        loss = self._loss()
        loss.backward()
        size = torch.nn.utils.clip_grad_norm_(self._parameters.values(), LARGEST_GRADIENT)
        if not (math.isfinite(value := loss.item()) and math.isfinite(size.item())):
            self._generator.set_state(generator_before)
            raise TrainingFailed(self.step, self.settings.peak_rate)
        self._optimiser.step()
        self.step += 1
        self._update_average()
        self.losses.append(value)
        return value

    def weights(self) -> adapters.Weights:
        """What is kept of what was learned so far, copied to the CPU: the running average where there is one; full weights in the precision of the base."""
        dtype = torch.float32 if self.settings.method == "lora" else self._base_dtype
        weights = self._average or self._parameters
        tensors = {name: tensor.detach().to("cpu", dtype, copy=True).contiguous() for name, tensor in weights.items()}
        return adapters.Weights(
            self.settings.method, tensors, self.settings.rank if self.settings.method == "lora" else 0
        )

    @contextlib.contextmanager
    @torch.no_grad()
    def with_learned_weights(self) -> Iterator[LoadedModel]:
        """The model with the weights that would be kept now, for as long as the context lasts; the learning is not touched."""
        own = {name: self._parameters[name].detach().clone() for name in self._average}
        try:
            for name, tensor in self._average.items():
                self._parameters[name].copy_(tensor)
            yield self.model
        finally:
            for name, tensor in own.items():
                self._parameters[name].copy_(tensor)

    def state_dict(self) -> dict[str, Any]:
        """All that another learner of the same model and settings needs to go on exactly.

        Returns:
            ``facts``, which JSON can hold: settings, step, losses, seconds; and ``tensors`` by name, as they are and not copied: the next step changes them.
        """
        facts = {
            "settings": dataclasses.asdict(self.settings), "step": self.step, "losses": list(self.losses), "seconds": self.seconds,
        }  # fmt: skip
        tensors = {"generator": self._generator.get_state(), "latents": self._latents}
        tensors |= {f"weights/{name}": parameter.detach() for name, parameter in self._parameters.items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self._average.items()}
        for name, parameter in self._parameters.items():
            for part, tensor in self._optimiser.state.get(parameter, {}).items():
                tensors[f"{part}/{name}"] = tensor
        return {"facts": facts, "tensors": tensors}

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave.

        Raises:
            ValueError: it is of other settings, or of another model; this learner stays as it was.
        """
        facts, tensors = state["facts"], state["tensors"]
        own = dataclasses.asdict(self.settings)
        if differing := [name for name, value in own.items() if facts["settings"].get(name) != value]:
            raise ValueError(f"this state is of a learning with other settings: {', '.join(differing)}")
        for name, shape in self._shapes(tensors).items():
            if name not in tensors or tensors[name].shape != shape:
                raise ValueError(f"this state is of another model: {name} is missing or of another shape")
        self._generator.set_state(tensors["generator"].cpu())
        self._latents = tensors["latents"].to(self._latents, copy=True)
        self._optimiser.state.clear()
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[f"weights/{name}"])
            if f"step/{name}" in tensors:  # a weight that never had a gradient has none
                self._optimiser.state[parameter] = {
                    part: tensors[f"{part}/{name}"].to(parameter.device, copy=True) for part in OPTIMISER_PARTS
                }
        for name, tensor in self._average.items():
            tensor.copy_(tensors[f"average/{name}"])
        self.step, self.losses = facts["step"], list(facts["losses"])

    def _shapes(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
        """The shapes that the tensors of a state must have."""
        shapes = {"generator": self._generator.get_state().shape, "latents": self._latents.shape}
        for name, parameter in self._parameters.items():
            shapes[f"weights/{name}"] = parameter.shape
            if self._average:
                shapes[f"average/{name}"] = parameter.shape
            if f"step/{name}" in tensors:
                shapes |= {f"exp_avg/{name}": parameter.shape, f"exp_avg_sq/{name}": parameter.shape}
                shapes[f"step/{name}"] = torch.Size([])
        return shapes

    def _update_average(self) -> None:
        """Move the running average towards the weights; at first faster, so that it soon forgets how they began."""
        if self._average:
            decay = min(self.settings.ema, (1 + self.step) / (20 + self.step))
            own = [self._parameters[name].detach() for name in self._average]
            torch._foreach_lerp_(list(self._average.values()), own, 1 - decay)

    def _loss(self) -> torch.Tensor:
        rows, device = self.settings.batch, self.model.device
        latents = self._crops(rows)
        alpha, sigma, times = noise_levels(self.model.objective, rows, self._generator)
        noise = torch.randn(latents.shape, generator=self._generator).to(device)
        dropped = torch.rand(rows, generator=self._generator) < self.settings.null_dropout
        alpha, sigma = alpha.to(device)[:, None, None], sigma.to(device)[:, None, None]
        target = alpha * noise - sigma * latents if self.model.objective == "v" else noise - latents
        with torch.autocast(device.type, torch.bfloat16, enabled=self._lower):
            output = self._network(
                alpha * latents + sigma * noise, times.to(device), self._conditioning(dropped.to(device))
            )
        return (output.float() - target).square().mean()

    def _network(self, x: torch.Tensor, times: torch.Tensor, rows: Conditioning) -> torch.Tensor:
        # The inner forward, as in sampling: the outer one rounds the time, and drops conditionings by the global generator.
        return self.model.model.model.model._forward(
            x.to(self.model.dtype),
            times,
            cross_attn_cond=rows.cross_attention,
            global_embed=rows.global_embedding,
            prepend_cond=rows.prepend,
            prepend_cond_mask=rows.prepend_mask,
            use_checkpointing=self.settings.checkpointing,
        )

    def _crops(self, rows: int) -> torch.Tensor:
        spare = self._latents.shape[-1] - self._frames
        starts = torch.randint(spare + 1, (rows,), generator=self._generator).tolist()
        return torch.cat([self._latents[..., start : start + self._frames] for start in starts])

    def _conditioning(self, dropped: torch.Tensor) -> Conditioning:
        def chosen(prompted: torch.Tensor | None, null: torch.Tensor | None) -> torch.Tensor | None:
            return None if prompted is None else torch.where(dropped[:, None, None], null, prompted)

        return dataclasses.replace(
            self._prompted,
            cross_attention=chosen(self._prompted.cross_attention, self._null.cross_attention),
            prepend=chosen(self._prompted.prepend, self._null.prepend),
        )


def noise_levels(
    objective: str, rows: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """alpha, sigma and time of each row, (rows,): see the head of this module."""
    first = FIRST_TIME.get(objective, 0.0)
    spread = (torch.arange(rows) + torch.rand((), generator=generator)) / rows
    times = 1 - (1 - first) * (1 - spread) ** SKEW
    if objective == "v":
        return (times * math.pi / 2).cos(), (times * math.pi / 2).sin(), times
    return 1 - times, times, times


def learning_rate(step: int, steps: int, *, peak: float) -> float:
    """A rise over the first 10 steps, a plateau, and a cosine towards zero over the last 40 % of ``steps``."""
    done = step / steps
    fall = 1.0 if done < PLATEAU else 0.5 + 0.5 * math.cos(math.pi * (done - PLATEAU) / (1 - PLATEAU))
    return peak * min(1.0, (step + 1) / WARM_UP) * fall


def _training_audio(model: LoadedModel, reference: torch.Tensor, settings: LearnSettings) -> tuple[float, torch.Tensor]:
    """How long pieces are, in seconds, and the audio that they come from."""
    length = reference.shape[1] / model.sample_rate
    seconds = min(length, model.max_seconds) if settings.seconds is None else settings.seconds
    if not MIN_SECONDS - 0.001 <= seconds <= model.max_seconds:
        lengths = f"{MIN_SECONDS} to {model.max_seconds:.1f}"
        raise SettingError(
            f"{model.name} learns {lengths} seconds at a time; seconds is {seconds!r}.", field="seconds", value=seconds,
            remedy=f"Give a number from {lengths}.",
        )  # fmt: skip
    samples = round(seconds * model.sample_rate)
    return seconds, looped(reference, samples) if reference.shape[1] < samples else reference


def _lower_precision(model: LoadedModel, settings: LearnSettings) -> bool:
    """Whether the network's products are taken in bfloat16."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    return model.dtype == torch.bfloat16 or (model.device.type == "cpu" and multiplies_bfloat16())


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for it; others emulate them."""
    features = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, feature, lambda: False)() for feature in features)
