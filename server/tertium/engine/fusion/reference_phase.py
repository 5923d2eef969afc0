"""The reference phase, computed once: it does not depend on the original.

What a fusion at step k needs of it are the data predictions at k, k - 1 and k - 2 (the step's own and the multistep history), and, where the original
never comes in, the latents at its end. So a trajectory keeps the data predictions, and of the states that one from which it can go on. It is computed as
far as it is asked for and goes on from there: no fusion pays for more than it uses, and none pays twice.
"""

import contextlib
import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch

from tertium.engine.sampling import solver
from tertium.engine.sampling.conditioning import Null
from tertium.engine.sampling.schedule import Schedule

OnStep = Callable[[int], None]


class Lead(Protocol):
    """A reference phase, as a fusion sees it."""

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """Data predictions at ``step``, 0 … N - 1, and at those before it that the order uses, the latest first."""
        ...

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """Latents after the last step: the reference alone."""
        ...


class Trajectory:
    """The reference phase of a sampling from noise; the same tensors as sampling afresh.

    Args:
        reference: data prediction of the reference.
        initial: standard normal noise to start from, (1, channels, frames).
        noise: of each step, with random access.
        order, eta: of the solver.
    """

    def __init__(
        self,
        reference: solver.Predict,
        *,
        initial: torch.Tensor,
        schedule: Schedule,
        noise: solver.Noise,
        order: int = 3,
        eta: float = 1.0,
    ):
        solver.check(schedule, order, eta, 0)
        self._reference, self._schedule, self._noise = reference, schedule, noise
        self._order, self._eta = order, eta
        self._predictions: list[torch.Tensor] = []
        self._state = initial * schedule.sigmas[0]

    @property
    def steps_known(self) -> int:
        """How many steps have been taken."""
        return len(self._predictions)

    @property
    def nbytes(self) -> int:
        """Memory that is held, in bytes."""
        return sum(tensor.nbytes for tensor in (self._state, *self._predictions))

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """See :class:`Lead`. ``on_step`` is called with each step that is not known yet, before it is taken."""
        self._go_to(step, on_step)
        return self._latest(step)

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """See :class:`Lead`."""
        self._go_to(self._schedule.steps - 1, on_step)
        return self._state

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is known, to be kept elsewhere: ``predictions`` (steps, channels, frames) of one step at least, and ``state`` (1, channels, frames)."""
        return {"predictions": torch.cat(self._predictions), "state": self._state}

    def resume(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Take up what :meth:`tensors` gave of an equal trajectory, which knew more.

        Raises:
            ValueError: the tensors are of something else; nothing is taken up.
        """
        predictions, state = tensors.get("predictions"), tensors.get("state")
        own = self._state
        if predictions is None or state is None or {predictions.dtype, state.dtype} != {own.dtype}:
            raise ValueError("these are not the tensors of a trajectory of this precision")
        if (
            state.shape != own.shape
            or predictions.shape[1:] != own.shape[1:]
            or len(predictions) > self._schedule.steps
        ):
            raise ValueError("these are the tensors of a trajectory of another shape")
        self._predictions = [one[None] for one in predictions.to(own.device, copy=True)]
        self._state = state.to(own.device, copy=True)

    def _go_to(self, last: int, on_step: OnStep | None) -> None:
        for step in range(self.steps_known, last + 1):
            if on_step is not None:
                on_step(step)
            self._predictions.append(self._reference(self._state, step))
            known = self._latest(step)
            self._state = solver.take_step(
                self._state, known, self._schedule, step, noise=self._noise, order=self._order, eta=self._eta
            )

    def _latest(self, step: int) -> tuple[torch.Tensor, ...]:
        return tuple(self._predictions[step - back] for back in range(min(self._order, step + 1)))


@dataclass(frozen=True)
class InstantLead:
    """The reference phase of an instant reference: whatever the latents, the prediction is ``z_r``. So there is nothing to compute.

    Args:
        z_r: latents of the reference, (1, channels, frames).
        schedule: one that ends without noise.
        order: of the solver.
    """

    z_r: torch.Tensor
    schedule: Schedule
    order: int = 3

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """See :class:`Lead`."""
        return (self.z_r,) * min(self.order, step + 1)

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """See :class:`Lead`: the last step, to no noise at all, returns the data prediction."""
        return self.z_r * self.schedule.alphas[-1]


@dataclass(frozen=True)
class Repeated:
    """A reference phase of another length than the original: repeated from its start where it is shorter, cut where it is longer.

    Args:
        lead: the reference phase at its own length.
        period: latent frames after which it begins again, at most its own.
        frames: of the original's latents.
    """

    lead: Lead
    period: int
    frames: int

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """See :class:`Lead`."""
        return tuple(self._fitted(one) for one in self.lead.predictions(step, on_step=on_step))

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """See :class:`Lead`."""
        return self._fitted(self.lead.end(on_step=on_step))

    def _fitted(self, latents: torch.Tensor) -> torch.Tensor:
        if latents.shape[-1] >= self.frames:
            return latents[..., : self.frames]
        return latents[..., : self.period].repeat(1, 1, -(-self.frames // self.period))[..., : self.frames]


class Sized(Protocol):
    """What a :class:`Memory` keeps: it knows its size, which may grow."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True)
class TrajectoryKey:
    """Everything that a reference phase depends on: equal keys have equal trajectories.

    Args:
        model: fingerprint of the weights.
        checkpoint: digest of what was learned on top of them; None for nothing.
        prompt: that the reference answers to.
        guidance, null, order, eta, seed: of the sampling; ``null`` is what guidance leads away from.
        schedule: signal and noise scales at every point.
        frames: of the latents.
        seconds: as the model is told: of what was learned, or else of the original.
    """

    model: str
    checkpoint: str | None
    prompt: str
    guidance: float
    null: Null
    order: int
    eta: float
    seed: int
    schedule: Schedule
    frames: int
    seconds: float

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, in hex: the same in every process."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        facts["schedule"] = (self.schedule.alphas, self.schedule.sigmas)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Store(Protocol):
    """Where reference phases outlast the process."""

    def load(self, key: str) -> Mapping[str, torch.Tensor] | None:
        """What was saved under a key, or None."""
        ...

    def save(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Keep tensors under a key, in place of what was there."""
        ...


class Memory:
    """What was computed and may be of use again, at most so many bytes of it; what was used longest ago goes first.

    For one thread. What is in use stays in use: it is only forgotten.

    Args:
        limit: bytes.
        store: where reference phases are kept too, and looked for; None for nowhere. What comes from there is the same to the last bit.
    """

    def __init__(self, limit: int, store: Store | None = None):
        self.limit, self.store = limit, store
        self._values: OrderedDict[Hashable, Sized] = OrderedDict()
        self._saved: dict[Hashable, int] = {}  # how many steps the store knows

    @property
    def nbytes(self) -> int:
        """Memory that is held, in bytes."""
        return sum(value.nbytes for value in self._values.values())

    def recall(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept under a key; made, and kept, where nothing is."""
        if key not in self._values:
            self._values[key] = value = make()
            self._fetch(key, value)
        self._values.move_to_end(key)
        value = self._values[key]
        self.trim()
        return value  # type: ignore[return-value]

    def trim(self) -> None:
        """Save what has grown, and forget what was used longest ago until the rest fits."""
        self._save()
        held = self.nbytes
        while self._values and held > self.limit:
            key, value = self._values.popitem(last=False)
            self._saved.pop(key, None)
            held -= value.nbytes

    def clear(self) -> None:
        """Forget everything; what is in the store stays there."""
        self._values.clear()
        self._saved.clear()

    def _fetch(self, key: Hashable, value: Sized) -> None:
        """Let a new reference phase take up what the store knows of it."""
        if self.store is None or not isinstance(key, TrajectoryKey) or not isinstance(value, Trajectory):
            return
        found = self.store.load(key.digest)
        if found is not None:
            with contextlib.suppress(ValueError):
                value.resume(found)
                self._saved[key] = value.steps_known

    def _save(self) -> None:
        if self.store is None:
            return
        for key, value in self._values.items():
            if isinstance(key, TrajectoryKey) and isinstance(value, Trajectory):
                known = value.steps_known
                if known > self._saved.get(key, 0):
                    self.store.save(key.digest, value.tensors())
                    self._saved[key] = known
