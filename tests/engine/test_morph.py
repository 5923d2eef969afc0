"""Several fusions in one batch: each equals the fusion alone."""

import pytest
import torch

from tertium.engine.fusion.fuse import InstantReference, fuse_latents
from tertium.engine.fusion.inversion import invert
from tertium.engine.fusion.morph import morph_latents, spread
from tertium.engine.pair import prepare
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import edm, rectified_flow
from tertium.engine.settings import FuseSettings
from tests.conftest import MemorisedDenoiser
from tests.engine.test_operations import sound

STEPS = 16
SEVERAL = (None, 0, 1, 6, 7, 12, STEPS - 2, STEPS - 1, STEPS)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("hold", [0.0, 0.3])
@pytest.mark.parametrize("schedule", [edm(STEPS), rectified_flow(STEPS)], ids=["edm", "flow"])
def test_each_row_has_the_bits_of_its_fusion_where_the_model_has_them(schedule, hold, eta, order, latents):
    """With an element-wise denoiser the batch changes nothing at all."""
    z_o, reference = latents(1), InstantReference(latents(2))
    null = MemorisedDenoiser(latents(3), 0.5, schedule)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    options = {"noise": noise, "initial": noise.initial(), "order": order, "eta": eta, "hold": hold}
    inversion = invert(z_o, schedule)
    fused = morph_latents(reference, null, inversion, interventions=SEVERAL, **options)
    assert list(fused) and set(fused) == set(SEVERAL)
    for k, latent in fused.items():
        assert torch.equal(latent, fuse_latents(reference, null, inversion, intervention=k, **options)), k


@pytest.mark.parametrize("prompt", [None, "drum"])
def test_with_a_network_each_row_is_its_fusion_to_rounding(prompt, prompted_model):
    """The rounding of a matrix product may depend on the number of rows, in the last bits of float32."""
    settings = FuseSettings(blend=0.0, steps=STEPS, prompt=prompt, guidance=2.0 if prompt else 1.0, hold=0.1)
    pair = prepare(prompted_model, sound(1), None if prompt else sound(2), settings)
    fused = pair.morphed(SEVERAL)
    for k, latent in fused.items():
        alone = pair.fused(k)
        assert float((latent - alone).abs().max()) <= 1e-5 * max(1.0, float(alone.abs().max())), k
    assert torch.equal(fused[None], pair.fused(None))
    assert torch.equal(fused[STEPS], prompted_model.encode(sound(1)))


def test_rows_enter_the_batch_as_their_step_is_passed(latents):
    schedule, rows = edm(10), []
    z_o, reference = latents(1), InstantReference(latents(2))
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)

    def null(x, step):
        rows.append((step, len(x)))
        return x * 0.5

    reports = []
    options = {"noise": noise, "initial": noise.initial(), "on_step": reports.append}
    morph_latents(reference, null, invert(z_o, schedule), interventions=(6, 3, 6, 7, None, 10), **options)
    assert rows == [(4, 1), (5, 1), (6, 1), (7, 2), (8, 3), (9, 3)]
    assert reports == [4, 5, 6, 7, 8, 9]


def test_takes_are_spread_from_end_to_end():
    assert spread(2) == [0.0, 1.0]
    assert spread(5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    with pytest.raises(ValueError, match="count must be 2 or more: a morph has two ends; got 1"):
        spread(1)


def test_an_intervention_out_of_range_is_refused(latents):
    z_o = latents(1)
    noise = StepNoise(2, z_o.shape, dtype=torch.float64)
    with pytest.raises(ValueError, match="intervention must lie between 0 and the number of steps, 10; got 11"):
        morph_latents(
            InstantReference(z_o), InstantReference(z_o), invert(z_o, edm(10)), noise=noise, initial=noise.initial(),
            interventions=(3, 11),
        )  # fmt: skip
