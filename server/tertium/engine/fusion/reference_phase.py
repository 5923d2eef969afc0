"""The reference phase, which is computed once because it does not depend on the original.

A fusion at step k needs the data predictions at k, k - 1 and k - 2 (the step's own and the multistep history) and,
where the original never enters, the latents at the end. A trajectory therefore stores the data predictions and the one
state from which it can continue. It is computed as far as requested and continues from there: no fusion computes more
than it uses, and no step is computed twice.
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
    """The reference phase as a fusion uses it."""

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """Return the data predictions at ``step``, 0 … N - 1, and the earlier ones that the order uses, the latest first."""
        ...

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """Return the latents after the last step: the reference alone."""
        ...


class Trajectory:
    """The reference phase of a sampling from noise, bit-identical to sampling without a cache.

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
        """Number of steps taken."""
        return len(self._predictions)

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes."""
        return sum(tensor.nbytes for tensor in (self._state, *self._predictions))

    def predictions(self, step: int, *, on_step: OnStep | None = None) -> tuple[torch.Tensor, ...]:
        """See :class:`Lead`. ``on_step`` is called with each step that is not yet known, before it is taken."""
        self._go_to(step, on_step)
        return self._latest(step)

    def end(self, *, on_step: OnStep | None = None) -> torch.Tensor:
        """See :class:`Lead`."""
        self._go_to(self._schedule.steps - 1, on_step)
        return self._state

    def tensors(self) -> dict[str, torch.Tensor]:
        """Return the known part, for storage.

        ``predictions`` is (steps, channels, frames), of at least one step, and ``state`` (1, channels, frames).
        """
        return {"predictions": torch.cat(self._predictions), "state": self._state}

    def resume(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Continue from the :meth:`tensors` of an equal trajectory that knew more.

        Raises:
            ValueError: the tensors do not fit this trajectory, which then stays unchanged.
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
    """The reference phase of an instant reference: the prediction is ``z_r`` for any latents, without computation.

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
        """See :class:`Lead`. The last step, to zero noise, returns the data prediction."""
        return self.z_r * self.schedule.alphas[-1]


@dataclass(frozen=True)
class Repeated:
    """A reference phase fitted to the original's length: repeated from its start or cut.

    Args:
        lead: the reference phase at its own length.
        period: latent frames after which it repeats, at most its own length.
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
    """A value of a :class:`Memory`: it knows its size, which may grow."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True)
class TrajectoryKey:
    """Everything that a reference phase depends on: equal keys have equal trajectories.

    Args:
        model: fingerprint of the weights.
        checkpoint: digest of the fine-tuning on top of them; None for the base model.
        prompt: the prompt of the reference.
        guidance, negative, null, order, eta, seed: of the sampling; guidance subtracts the negative prompt, or without
            one ``null``.
        schedule: signal and noise scales at every point.
        frames: of the latents.
        seconds: the length passed to the model: of the training material, or else of the original.
    """

    model: str
    checkpoint: str | None
    prompt: str
    guidance: float
    negative: str | None
    null: Null
    order: int
    eta: float
    seed: int
    schedule: Schedule
    frames: int
    seconds: float

    @property
    def digest(self) -> str:
        """SHA-256 of all fields, in hexadecimal: the same in every process."""
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        facts["schedule"] = (self.schedule.alphas, self.schedule.sigmas)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Store(Protocol):
    """Storage in which reference phases outlast the process."""

    def load(self, key: str) -> Mapping[str, torch.Tensor] | None:
        """Return the tensors saved under a key, or None."""
        ...

    def save(self, key: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Save tensors under a key, replacing earlier ones."""
        ...


class Memory:
    """A cache of computed values of at most ``limit`` bytes; the least recently used is evicted first.

    Not thread-safe. Eviction only removes a value from the cache; a caller that holds it can continue to use it.

    Args:
        limit: bytes.
        store: further storage for reference phases, which is searched too; None for none. Values from it are
            bit-identical.
    """

    def __init__(self, limit: int, store: Store | None = None):
        self.limit, self.store = limit, store
        self._values: OrderedDict[Hashable, Sized] = OrderedDict()
        self._saved: dict[Hashable, int] = {}  # number of steps in the store

    @property
    def nbytes(self) -> int:
        """Memory in use, in bytes."""
        return sum(value.nbytes for value in self._values.values())

    def recall(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key; compute and cache it first where there is none."""
        if key not in self._values:
            self._values[key] = value = compute()
            self._fetch(key, value)
        self._values.move_to_end(key)
        value = self._values[key]
        self.trim()
        return value  # type: ignore[return-value]

    def trim(self) -> None:
        """Save what has grown, then evict the least recently used values until the rest fits."""
        self._save()
        size = self.nbytes
        while self._values and size > self.limit:
            key, value = self._values.popitem(last=False)
            self._saved.pop(key, None)
            size -= value.nbytes

    def clear(self) -> None:
        """Discard all values; those in the store remain there."""
        self._values.clear()
        self._saved.clear()

    def _fetch(self, key: Hashable, value: Sized) -> None:
        """Resume a new reference phase from the store, where it has that phase."""
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
