"""Training on a reference under its prompt: the prompt alone then reproduces it, and the null prompt leans towards it.

The objective is the one that the model was trained with, as in stable-audio-tools. With latents z, noise e and a
time t, the network's input is alpha z + sigma e, and its target, by mean squares, is

    v        alpha e - sigma z      alpha = cos(t pi / 2), sigma = sin(t pi / 2)      t in 0.15 … 1
    flows    e - z                  alpha = 1 - t,         sigma = t                  t in 0 … 1

Times of v start slightly below that of sigma / alpha = 0.3, where schedules end. They are denser towards noise,
t = 1 - (1 - first) u^SKEW with u spread uniformly: at high noise a model must know by heart which moment of the sound
it is at, which takes longest to learn, above all for rhythms. The rows of a batch divide the range of u into equal
parts, with one time in each (Kingma et al., arXiv 2107.00630, appendix I.1).
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
    """The loss is no longer finite. The weights are those before the step at which this was detected."""

    def __init__(self, step: int, rate: float):
        super().__init__(
            "out_of_range", f"Training diverged at step {step}: the loss is not finite.", field="rate", value=rate,
            remedy=f"Give a lower rate than {rate:g}.",
        )  # fmt: skip


class Learner:
    """Training of a model on one reference, step by step. It shares nothing that it changes with the base model.

    All randomness comes from its own generator, and between steps its state is complete: it can be saved and resumed
    without any effect on the result.

    Args:
        model: the base.
        reference: audio (channels, samples) at the model's sample rate; encoded once.
        settings: of the training.

    Attributes:
        model: the fine-tuned model in its current state.
        step: number of steps taken.
        losses: of each step.
        seconds: length of a training piece.

    Raises:
        SoundError: this model does not accept ``reference``.
        SettingError: ``seconds`` is longer than the model's maximum.
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
            base = adapters.full_view(model) if model.dtype == torch.float16 else model  # gradients vanish in fp16
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
        """Take the remaining steps.

        Args:
            on_step: called before each step with its number and the loss of the previous one (None before the first).
                An exception it raises stops the training between two steps, in a complete state: ``run`` may be called
                again.

        Raises:
            TrainingFailed: the loss is not finite.
        """
        while self.step < self.settings.steps:
            on_step(self.step, self.losses[-1] if self.losses else None)
            self.take_step()

    def take_step(self) -> float:
        """Take one step of the optimiser and return its loss.

        Raises:
            TrainingFailed: the loss, or its gradient, is not finite; the weights stay unchanged.
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
        """Return the result of the training so far, copied to the CPU.

        It is the running average where there is one; full weights have the precision of the base.
        """
        dtype = torch.float32 if self.settings.method == "lora" else self._base_dtype
        weights = self._average or self._parameters
        tensors = {name: tensor.detach().to("cpu", dtype, copy=True).contiguous() for name, tensor in weights.items()}
        return adapters.Weights(
            self.settings.method, tensors, self.settings.rank if self.settings.method == "lora" else 0
        )

    @contextlib.contextmanager
    @torch.no_grad()
    def with_learned_weights(self) -> Iterator[LoadedModel]:
        """Yield the model with the weights that :meth:`weights` would return now. Training then continues undisturbed."""
        own = {name: self._parameters[name].detach().clone() for name in self._average}
        try:
            for name, tensor in self._average.items():
                self._parameters[name].copy_(tensor)
            yield self.model
        finally:
            for name, tensor in own.items():
                self._parameters[name].copy_(tensor)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that another learner of the same model and settings needs to continue exactly.

        Returns:
            ``facts``, JSON-compatible: settings, step, losses, seconds; and ``tensors`` by name, which are not copies:
            the next step changes them.
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
        """Resume from the result of :meth:`state_dict`.

        Raises:
            ValueError: it belongs to other settings, or to another model; this learner stays unchanged.
        """
        facts, tensors = state["facts"], state["tensors"]
        own = dataclasses.asdict(self.settings)
        if differing := [name for name, value in own.items() if facts["settings"].get(name) != value]:
            raise ValueError(f"this state is of a training job with other settings: {', '.join(differing)}")
        for name, shape in self._shapes(tensors).items():
            if name not in tensors or tensors[name].shape != shape:
                raise ValueError(f"this state is of another model: {name} is missing or of another shape")
        self._generator.set_state(tensors["generator"].cpu())
        self._latents = tensors["latents"].to(self._latents, copy=True)
        self._optimiser.state.clear()
        for name, parameter in self._parameters.items():
            parameter.copy_(tensors[f"weights/{name}"])
            if f"step/{name}" in tensors:  # absent for a weight that never had a gradient
                self._optimiser.state[parameter] = {
                    part: tensors[f"{part}/{name}"].to(parameter.device, copy=True) for part in OPTIMISER_PARTS
                }
        for name, tensor in self._average.items():
            tensor.copy_(tensors[f"average/{name}"])
        self.step, self.losses = facts["step"], list(facts["losses"])

    def _shapes(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
        """Return the shapes that the tensors of a state must have."""
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
        """Move the running average towards the weights, faster at first so that the initial weights soon lose influence."""
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
        # The inner forward, as in sampling: upstream's outer one rounds the time, and drops conditionings by the global
        # generator.
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
    """Return alpha, sigma and time of each row, (rows,); see the docstring of this module."""
    first = FIRST_TIME.get(objective, 0.0)
    spread = (torch.arange(rows) + torch.rand((), generator=generator)) / rows
    times = 1 - (1 - first) * (1 - spread) ** SKEW
    if objective == "v":
        return (times * math.pi / 2).cos(), (times * math.pi / 2).sin(), times
    return 1 - times, times, times


def learning_rate(step: int, steps: int, *, peak: float) -> float:
    """Return the learning rate of a step.

    It rises over the first 10 steps, stays, and falls as a cosine towards zero over the last 40 % of ``steps``.
    """
    done = step / steps
    fall = 1.0 if done < PLATEAU else 0.5 + 0.5 * math.cos(math.pi * (done - PLATEAU) / (1 - PLATEAU))
    return peak * min(1.0, (step + 1) / WARM_UP) * fall


def _training_audio(model: LoadedModel, reference: torch.Tensor, settings: LearnSettings) -> tuple[float, torch.Tensor]:
    """Return the length of a training piece in seconds, and the audio that pieces are cut from."""
    length = reference.shape[1] / model.sample_rate
    seconds = min(length, model.max_seconds) if settings.seconds is None else settings.seconds
    if not MIN_SECONDS - 0.001 <= seconds <= model.max_seconds:
        lengths = f"{MIN_SECONDS} to {model.max_seconds:.1f}"
        raise SettingError(
            f"{model.name} trains on pieces of {lengths} seconds; seconds is {seconds!r}.", field="seconds", value=seconds,
            remedy=f"Give a number from {lengths}.",
        )  # fmt: skip
    samples = round(seconds * model.sample_rate)
    return seconds, looped(reference, samples) if reference.shape[1] < samples else reference


def _lower_precision(model: LoadedModel, settings: LearnSettings) -> bool:
    """Return whether the network's products are computed in bfloat16."""
    if settings.precision != "auto":
        return settings.precision == "bf16"
    return model.dtype == torch.bfloat16 or (model.device.type == "cpu" and multiplies_bfloat16())


def multiplies_bfloat16() -> bool:
    """Return whether this processor has bfloat16 instructions; others emulate them."""
    features = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, feature, lambda: False)() for feature in features)
