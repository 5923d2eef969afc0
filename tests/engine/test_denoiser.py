import pytest
import torch

from tertium.engine.models import stable_audio
from tertium.engine.sampling import solver
from tertium.engine.sampling.conditioning import Conditioning
from tertium.engine.sampling.denoiser import Denoiser, scaling
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.sampling.schedule import Schedule, edm, rectified_flow
from tests.engine import tiny

FRAMES, SEED = 48, 5


@pytest.fixture(scope="module")
def tensors():
    """Conditioning in the form of stable-audio-tools' conditioners: a name -> (embeddings, mask)."""
    generator = torch.Generator().manual_seed(3)
    prompt, seconds = (torch.randn(1, tokens, 32, generator=generator) for tokens in (6, 1))
    return {"prompt": (prompt, torch.ones(1, 6)), "seconds_total": (seconds, torch.ones(1, 1))}


@pytest.fixture(scope="module")
def conditioning(tensors):
    prompt, seconds = tensors["prompt"][0], tensors["seconds_total"][0]
    return Conditioning(torch.cat([prompt, seconds], 1), seconds[:, 0])


def upstream_latents(model, tensors, *, steps, guidance, **sampler):
    generation = stable_audio.load("stable_audio_tools.inference.generation")
    with torch.random.fork_rng():
        return generation.generate_diffusion_cond(
            model,
            steps=steps,
            cfg_scale=guidance,
            conditioning_tensors=tensors,
            sample_size=FRAMES,
            seed=SEED,
            device="cpu",
            return_latents=True,
            **sampler,
        )


def relative_error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("global_kind", ["prepend", "adaLN"])
@pytest.mark.parametrize("guidance", [1.0, 6.0])
def test_a_v_model_generates_what_stable_audio_tools_generates(guidance, global_kind, tensors, conditioning):
    """dpmpp-3m-sde as used for Stable Audio Open 1.0, with the noise of k-diffusion's Brownian tree in our solver."""
    steps = 12
    model = tiny.build(tiny.transformer_config("v", global_cond_type=global_kind))
    theirs = upstream_latents(
        model, tensors, steps=steps, guidance=guidance, sampler_type="dpmpp-3m-sde", sigma_min=0.3, sigma_max=500
    )
    sampling = stable_audio.load("k_diffusion.sampling")
    sigmas = sampling.get_sigmas_polyexponential(steps, 0.3, 500.0, 1.0)
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        start = torch.randn(1, 4, FRAMES) * sigmas[0]
        tree = sampling.BrownianTreeNoiseSampler(start, sigmas[sigmas > 0].min(), sigmas.max())

    schedule = edm(steps)
    predict = Denoiser(model, schedule).under(conditioning, guidance=guidance)
    ours = solver.sample(predict, start, schedule, noise=lambda step: tree(sigmas[step], sigmas[step + 1]), order=3)
    assert relative_error(ours, theirs) < 1e-4


@pytest.mark.parametrize("guidance", [1.0, 6.0])
@pytest.mark.parametrize(("sampler", "order"), [("euler", 1), ("dpmpp", 2)])
@pytest.mark.parametrize("objective", ["rectified_flow", "rf_denoiser"])
def test_a_flow_generates_what_stable_audio_tools_generates(objective, sampler, order, guidance, tensors, conditioning):
    steps = 8
    model = tiny.build(tiny.transformer_config(objective))
    theirs = upstream_latents(model, tensors, steps=steps, guidance=guidance, sampler_type=sampler)
    times = torch.sigmoid(-torch.linspace(-6, 2, steps + 1, dtype=torch.float64)).tolist()
    times[0], times[-1] = 1.0, 0.0
    schedule = Schedule(tuple(1 - t for t in times), tuple(times))
    start = torch.randn(1, 4, FRAMES, generator=torch.Generator().manual_seed(SEED))
    predict = Denoiser(model, schedule).under(conditioning, guidance=guidance)
    noise = StepNoise(0, start.shape)
    ours = solver.sample(predict, start, schedule, noise=noise, order=order, eta=0.0)
    assert relative_error(ours, theirs) < 1e-4


def test_a_v_model_agrees_with_k_diffusions_scaling():
    sigma = torch.tensor([0.02, 0.3, 4.0, 500.0], dtype=torch.float64)
    wrapper = stable_audio.load("k_diffusion.external").VDenoiser(None)
    for i, value in enumerate(sigma.tolist()):
        ours = scaling("v", 1.0, value)
        skip, out, scale = (float(c) for c in wrapper.get_scalings(sigma[i]))
        assert (ours.skip, ours.out, ours.scale) == pytest.approx((skip, out, scale), rel=1e-12)
        assert ours.time == pytest.approx(float(wrapper.sigma_to_t(sigma[i])), rel=1e-12)


@pytest.mark.parametrize("objective", ["v", "rectified_flow"])
def test_the_prediction_does_not_depend_on_the_scale_of_the_schedule(objective, conditioning):
    """The same noise-to-signal ratio in two scalings gives the same prediction, scaled."""
    model = tiny.build(tiny.transformer_config(objective))
    x = torch.randn(1, 4, FRAMES, generator=torch.Generator().manual_seed(1))
    flow = Schedule((0.2, 1.0), (0.8, 0.0))
    variance_exploding = Schedule((1.0, 1.0), (4.0, 0.0))
    a = Denoiser(model, flow)(0.2 * x, 0, conditioning)
    b = Denoiser(model, variance_exploding)(x, 0, conditioning)
    assert torch.allclose(a, b, atol=1e-5)


def test_guidance_is_one_batch_of_two_rows_and_otherwise_one_row(conditioning):
    model = tiny.build(tiny.transformer_config())
    rows = []
    model.model.model.register_forward_hook(lambda *_: rows.append("outer"))
    model.model.model.transformer.register_forward_pre_hook(lambda _, inputs: rows.append(len(inputs[0])))
    denoiser, x = Denoiser(model, edm(4)), torch.zeros(1, 4, FRAMES)
    denoiser(x, 1, conditioning, guidance=6.0)
    denoiser(x, 1, conditioning, guidance=1.0)
    denoiser(x, 1, conditioning.null(), guidance=6.0)
    denoiser(x.expand(3, 4, FRAMES), 1, conditioning, guidance=6.0)
    assert rows == [2, 1, 1, 6]


def test_guidance_leads_from_the_null_prediction_through_the_conditioned_one(conditioning):
    model = tiny.build(tiny.transformer_config())
    denoiser = Denoiser(model, edm(4))
    x = torch.randn(2, 4, FRAMES, generator=torch.Generator().manual_seed(1))
    null, plain = denoiser(x, 2, conditioning.null()), denoiser(x, 2, conditioning)
    assert relative_error(null, plain) > 1e-3
    assert torch.allclose(denoiser(x, 2, conditioning, guidance=3.0), null + 3 * (plain - null), atol=1e-4)


def test_the_null_branch_keeps_the_timing(conditioning):
    null = conditioning.null()
    assert not null.cross_attention.any()
    assert torch.equal(null.global_embedding, conditioning.global_embedding)


def test_nothing_global_is_touched(conditioning):
    model = tiny.build(tiny.transformer_config())
    before = torch.get_rng_state()
    Denoiser(model, edm(4))(torch.zeros(1, 4, FRAMES), 0, conditioning, guidance=2.0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("objective", ["v", "rectified_flow"])
def test_no_step_waits_for_the_device(objective, conditioning):
    """Tensors on the meta device have no values, so that any operation waiting for one fails."""
    model = tiny.build(tiny.transformer_config(objective)).to("meta")
    schedule = edm(6) if objective == "v" else rectified_flow(6)
    noise = StepNoise(0, (1, 4, FRAMES), device="meta")
    predict = Denoiser(model, schedule).under(conditioning, guidance=6.0)
    result = solver.sample(predict, noise.initial() * schedule.sigmas[0], schedule, noise=noise)
    assert (result.shape, result.device.type, result.dtype) == ((1, 4, FRAMES), "meta", torch.float32)


def test_an_unknown_objective_is_refused(conditioning):
    model = tiny.build(tiny.transformer_config())
    model.diffusion_objective = "epsilon"
    with pytest.raises(ValueError, match=r"objective must be one of v, rectified_flow, rf_denoiser; got 'epsilon'"):
        Denoiser(model, rectified_flow(3))
