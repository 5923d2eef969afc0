"""The reference phase from a cache: bit-identical, with fewer calls, in bounded memory."""

import copy

import pytest
import torch

from tertium.engine.fusion.fuse import InstantReference, fuse_latents, lead_of
from tertium.engine.fusion.inversion import invert
from tertium.engine.fusion.reference_phase import InstantLead, Memory, Trajectory, TrajectoryKey
from tertium.engine.pair import prepare
from tertium.engine.sampling import solver
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm, rectified_flow
from tertium.engine.settings import FuseSettings
from tests.conftest import GaussianDenoiser, MemorisedDenoiser, falling_power

STEPS = 20


class Counted:
    """A data prediction that records the steps of its calls."""

    def __init__(self, predict):
        self.predict, self.steps = predict, []

    def __call__(self, x, step):
        self.steps.append(step)
        return self.predict(x, step)


@pytest.fixture(params=[edm(STEPS), rectified_flow(STEPS)], ids=["edm", "flow"])
def parts(request, latents):
    """schedule, reference, null, inversion and noise of a pair."""
    schedule = request.param
    z_o, z_r = latents(1), latents(2)
    reference = MemorisedDenoiser(z_r, 0.2, schedule)
    null = GaussianDenoiser(falling_power(64), schedule)
    return schedule, reference, null, invert(z_o, schedule), StepNoise(4, z_o.shape, dtype=torch.float64)


def by_hand(reference, null, inversion, noise, k, *, order, eta):
    """Compute both phases in one loop, with every latent and prediction computed again."""
    schedule = inversion.schedule
    x, predictions = noise.initial() * schedule.sigmas[0], ()
    for step in range(schedule.steps):
        leads = k is None or step <= k
        predictions = ((reference if leads else null)(x, step), *predictions)[:order]
        weights = solver.step_weights(schedule, step, order=order, eta=eta, known=len(predictions))
        carried = inversion.latent(step) if step == k else x
        x = solver.advance(carried, predictions, weights, noise=noise(step) if weights.noise else None)
    return x


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_fusion_from_the_cache_has_the_same_bits(order, eta, parts):
    schedule, reference, null, inversion, noise = parts
    options = {"noise": noise, "initial": noise.initial(), "order": order, "eta": eta}
    lead = lead_of(reference, schedule=schedule, **options)
    # In this order one fusion continues where the previous one stopped, and one goes back.
    for k in (3, 0, 12, 7, None, STEPS - 2, STEPS - 1, STEPS):
        cached = fuse_latents(reference, null, inversion, intervention=k, lead=lead, **options)
        assert torch.equal(cached, fuse_latents(reference, null, inversion, intervention=k, **options))
        if k not in (STEPS - 1, STEPS):
            assert torch.equal(cached, by_hand(reference, null, inversion, noise, k, order=order, eta=eta))


def test_the_reference_is_asked_once_for_each_step(parts):
    schedule, reference, null, inversion, noise = parts
    reference, null = Counted(reference), Counted(null)
    options = {"noise": noise, "initial": noise.initial()}
    lead = lead_of(reference, schedule=schedule, **options)
    reports = []
    for k in (5, 5, 2, 9):
        fuse_latents(reference, null, inversion, intervention=k, lead=lead, on_step=reports.append, **options)
    assert reference.steps == list(range(10))
    assert null.steps == [s for k in (5, 5, 2, 9) for s in range(k + 1, STEPS)]
    assert reports == [*range(STEPS), *range(6, STEPS), *range(3, STEPS), *range(6, 10), *range(10, STEPS)]


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_instant_reference_has_the_bits_of_its_sampling_and_nothing_to_compute(order, eta, parts, latents):
    schedule, _, null, inversion, noise = parts
    reference = InstantReference(latents(2))
    options = {"noise": noise, "initial": noise.initial(), "order": order, "eta": eta}
    assert isinstance(lead_of(reference, schedule=schedule, **options), InstantLead)
    for k in (0, 1, 2, 11, None):
        result = fuse_latents(reference, null, inversion, intervention=k, **options)
        assert torch.equal(result, by_hand(reference, null, inversion, noise, k, order=order, eta=eta))


def test_what_stops_the_first_fusion_leaves_the_cache_whole(parts):
    schedule, reference, null, inversion, noise = parts
    options = {"noise": noise, "initial": noise.initial()}
    lead = lead_of(reference, schedule=schedule, **options)

    def stop(step):
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fuse_latents(reference, null, inversion, intervention=8, lead=lead, on_step=stop, **options)
    assert lead.steps_known == 4
    assert torch.equal(
        fuse_latents(reference, null, inversion, intervention=8, lead=lead, **options),
        fuse_latents(reference, null, inversion, intervention=8, **options),
    )


def test_a_trajectory_knows_its_size_as_it_grows(parts):
    schedule, reference, _, _, noise = parts
    trajectory = Trajectory(reference, initial=noise.initial(), schedule=schedule, noise=noise)
    one = noise.initial().nbytes
    assert trajectory.nbytes == one
    trajectory.predictions(6)
    assert (trajectory.steps_known, trajectory.nbytes) == (7, 8 * one)


def test_the_memory_forgets_what_was_used_longest_ago():
    memory, computed = Memory(3 * 400), []

    def recall(name, size=100):
        def make():
            computed.append(name)
            return torch.zeros(size)

        return memory.recall(name, make)

    for name in "abcadb":  # d evicts b
        recall(name)
    assert computed == ["a", "b", "c", "d", "b"]
    assert memory.nbytes == 1200
    assert recall("too large", 1000).shape == (1000,)
    assert memory.nbytes == 0
    recall("a")
    memory.clear()
    assert memory.nbytes == 0


def test_the_memory_counts_what_has_grown(parts):
    schedule, reference, _, _, noise = parts
    one = noise.initial().nbytes
    memory = Memory(5 * one)
    trajectory = memory.recall(
        "t", lambda: Trajectory(reference, initial=noise.initial(), schedule=schedule, noise=noise)
    )
    trajectory.predictions(3)
    memory.trim()
    assert memory.nbytes == 5 * one
    trajectory.predictions(9)
    memory.trim()
    assert memory.nbytes == 0


class Shelf(dict):
    """A store that copies tensors, and counts."""

    saves = 0

    def load(self, key):
        return self.get(key)

    def save(self, key, tensors):
        self.saves += 1
        self[key] = {name: tensor.clone() for name, tensor in tensors.items()}


def key_of(schedule, **more):
    facts = {
        "model": "m", "checkpoint": None, "prompt": "hum", "guidance": 1.0, "negative": None, "null": "unconditional", "order": 3, "eta": 1.0,
        "seed": 4,
        "schedule": schedule, "frames": 64, "seconds": 1.5,
    }  # fmt: skip
    return TrajectoryKey(**facts | more)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("first", [0, 5, None])
def test_a_reference_phase_from_the_store_has_the_same_bits_and_costs_no_call(parts, order, first):
    schedule, reference, null, inversion, noise = parts
    options = {"noise": noise, "initial": noise.initial(), "order": order}
    shelf, fused = Shelf(), {}
    for process in ("one", "next"):
        counted, memory = Counted(reference), Memory(10**9, shelf)
        lead = memory.recall(key_of(schedule), lambda: lead_of(counted, schedule=schedule, **options))  # noqa: B023
        before = shelf.saves
        for k in (first, 9, None):
            fused[process, k] = fuse_latents(reference, null, inversion, intervention=k, lead=lead, **options)
            memory.trim()
        assert len(counted.steps) == (STEPS if process == "one" else 0)
        assert process == "one" or shelf.saves == before, "an unchanged phase is not saved again"
    for k in (first, 9, None):
        assert torch.equal(fused["one", k], fused["next", k])
        assert torch.equal(fused["one", k], fuse_latents(reference, null, inversion, intervention=k, **options))


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.pop("state"),
        lambda t: t.update(state=t["state"][..., :-1]),
        lambda t: t.update(predictions=t["predictions"].float()),
        lambda t: t.update(predictions=torch.cat([t["predictions"]] * 9)),
    ],
)
def test_what_does_not_fit_into_a_trajectory_is_ignored(parts, change):
    schedule, reference, _, _, noise = parts
    options = {"initial": noise.initial(), "schedule": schedule, "noise": noise}
    whole = Trajectory(reference, **options)
    whole.predictions(6)
    shelf, key = Shelf(), key_of(schedule)
    shelf.save(key.digest, whole.tensors())
    change(shelf[key.digest])
    trajectory = Memory(10**9, shelf).recall(key, lambda: Trajectory(reference, **options))
    assert trajectory.steps_known == 0
    assert torch.equal(trajectory.end(), Trajectory(reference, **options).end())


def test_equal_keys_have_one_digest_and_others_another():
    schedule = edm(STEPS)
    others = [
        {"prompt": "h"},
        {"seed": 5},
        {"eta": 0.5},
        {"seconds": 1.25},
        {"schedule": edm(STEPS + 1)},
        {"checkpoint": "c"},
        {"null": "empty"},
        {"negative": "noise"},
    ]
    digests = [key_of(schedule).digest, *(key_of(**{"schedule": schedule} | other).digest for other in others)]
    assert len(set(digests)) == len(digests)
    assert key_of(edm(STEPS)).digest == digests[0]


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 250), (1.5, 750)])
def test_what_was_learned_comes_at_its_own_length_repeated_or_cut_to_the_originals(prompted_model, seconds, frames):
    trained = copy.copy(prompted_model)
    trained.checkpoint, trained.trained_seconds = "one", 0.625
    original = torch.sin(torch.arange(round(seconds * 8000)) / 9).expand(2, -1) * 0.5
    settings = FuseSettings(prompt="drum loop", steps=4, blend=0.0, hold=0.3)
    memory = Memory(10**9)
    with torch.no_grad():
        pair = prepare(trained, original, None, settings, memory=memory)
        other = prepare(trained, original[:, :4400], None, settings, memory=memory)
        alone = pair.fused(None)
        own = other.lead.lead.end()  # of 0.625 s: 313 frames, repeated after 312.5
    assert alone.shape == (1, 4, frames) and own.shape == (1, 4, 313)
    assert pair.lead.lead is other.lead.lead, "originals of all lengths share one reference phase"
    period = 312
    for place in range(frames):
        assert torch.equal(alone[..., place], own[..., place if frames <= 313 else place % period])
    assert torch.isfinite(pair.fused(2)).all()
    lengths = [latents.shape[-1] for latents in pair.lead.predictions(2)]
    assert lengths == [frames] * 3


def test_what_was_learned_at_the_originals_length_is_used_unchanged(prompted_model):
    trained = copy.copy(prompted_model)
    original = torch.sin(torch.arange(8000) / 9).expand(2, -1) * 0.5
    settings = FuseSettings(prompt="drum loop", steps=4, blend=0.0)
    with torch.no_grad():
        base = prepare(trained, original, None, settings).fused(2)
        trained.checkpoint, trained.trained_seconds = "one", 1.0
        assert torch.equal(prepare(trained, original, None, settings).fused(2), base)


@pytest.mark.parametrize(("field", "value"), [("order", 4), ("eta", 1.5)])
def test_a_setting_out_of_range_is_refused(field, value, parts):
    schedule, reference, _, _, noise = parts
    with pytest.raises(ValueError, match=f"{field} must .*; got {value}"):
        Trajectory(reference, initial=noise.initial(), schedule=schedule, noise=noise, **{field: value})
