import pytest
import torch

from tertium.engine import operations
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.operations import FuseSettings, GenerateSettings, InvertSettings, VarySettings
from tertium.engine.sampling import solver
from tertium.engine.sampling.denoiser import Denoiser
from tertium.engine.sampling.noise import StepNoise
from tertium.engine.settings import SettingError
from tertium.errors import SoundError

RATE = 8000


def sound(seed, samples=RATE):
    """Seeded noise, (2, samples)."""
    return 0.2 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def round_trip(model, audio):
    return model.decode(model.encode(audio), samples=audio.shape[1])[0]


@pytest.fixture
def forwards(tiny_model):
    """Number of rows in each call of the diffusion network."""
    rows = []
    hook = tiny_model.model.model.model.transformer.register_forward_pre_hook(
        lambda _, given: rows.append(len(given[0]))
    )
    yield rows
    hook.remove()


@pytest.mark.parametrize("anchor", ["clean", "predicted", "forward", "stochastic"])
@pytest.mark.parametrize("samples", [RATE // 2, 6001, 2 * RATE])
def test_a_fusion_is_as_long_as_its_original(samples, anchor, tiny_model):
    settings = FuseSettings(blend=0.5, steps=5, anchor=anchor, hold=0.2)
    result = operations.fuse(tiny_model, sound(1, samples), sound(2), settings)
    assert result.shape == (2, samples)
    assert (result.dtype, result.device.type) == (torch.float32, "cpu")
    assert result.isfinite().all()


def test_the_ends_of_blend_are_the_codecs_round_trips(tiny_model):
    original, reference = sound(1), sound(2)
    ends = [
        operations.fuse(tiny_model, original, reference, FuseSettings(blend=blend, steps=6)) for blend in (0.0, 1.0)
    ]
    assert torch.equal(ends[0], round_trip(tiny_model, reference))
    assert torch.equal(ends[1], round_trip(tiny_model, original))


@pytest.mark.parametrize("samples", [5000, RATE, 2 * RATE, 5 * RATE])
def test_a_reference_of_another_length_is_repeated_or_cut(samples, tiny_model):
    original, reference = sound(1, RATE + 7), sound(2, samples)
    result = operations.fuse(tiny_model, original, reference, FuseSettings(blend=0.0, steps=2))
    fitted = torch.cat([reference] * 3, dim=1)[:, : RATE + 7]
    assert torch.equal(result, round_trip(tiny_model, fitted))


def test_an_intervention_moves_from_the_reference_to_the_original(tiny_model):
    original, reference = sound(1), sound(2)
    ends = [round_trip(tiny_model, reference), round_trip(tiny_model, original)]
    # The network is random; with a high hold the rest of the result is the original carried forward.
    results = [
        operations.fuse(tiny_model, original, reference, FuseSettings(intervention=k, steps=12, hold=0.95))
        for k in (2, 12)
    ]
    distances = [[float((result - end).norm()) for end in ends] for result in results]
    assert distances[0][0] < distances[0][1]
    assert distances[1][1] < distances[1][0]


def test_how_often_a_fusion_asks_the_network(tiny_model, forwards):
    def asked(**settings):
        forwards.clear()
        reference = None if "prompt" in settings else sound(2)
        operations.fuse(tiny_model, sound(1), reference, FuseSettings(steps=10, **settings))
        return sum(forwards)

    paper = {"intervention": 6, "strength": "paper"}
    assert asked(**paper) == 3  # steps 7 … 9
    assert asked(**paper, hold=0.3) == 3  # the instant reference costs nothing
    assert asked(**paper, anchor="predicted") == 4
    assert asked(**paper, prompt="drum") == 10
    assert asked(**paper, prompt="drum", guidance=3.0) == 2 * 7 + 3
    assert asked(**paper, prompt="drum", hold=0.3) == 7 + 2 * 3
    # The even strength enters between steps 6 and 7, and needs the end of the reference phase.
    assert asked(intervention=6) == 4
    assert asked(intervention=6, prompt="drum") == 10 + 4
    assert asked(intervention=6, prompt="drum", guidance=3.0) == 2 * 10 + 4
    assert asked(intervention=6, prompt="drum", hold=0.3) == 10 + 2 * 4
    for strength in ("even", "paper"):
        assert asked(blend=0.0, strength=strength) == asked(blend=1.0, strength=strength) == 0


def test_a_memory_spares_the_reference_phase_and_changes_no_sample(prompted_model, monkeypatch):
    rows, encoded = [], []
    transformer, encode = prompted_model.model.model.model.transformer, prompted_model.encode
    hook = transformer.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    monkeypatch.setattr(prompted_model, "encode", lambda audio: encoded.append(1) or encode(audio))
    memory = Memory(1 << 20)

    def fuse(memory=None, **changes):
        rows.clear(), encoded.clear()
        given = {"intervention": 6, "steps": 10, "prompt": "drum", "guidance": 3.0, "strength": "paper"}
        settings = FuseSettings(**given | changes)
        return operations.fuse(prompted_model, sound(1), None, settings, memory=memory), sum(rows), len(encoded)

    alone, *cost = fuse()
    assert cost == [2 * 7 + 3, 1]
    for expected in ([2 * 7 + 3, 1], [3, 0]):
        result, *cost = fuse(memory)
        assert torch.equal(result, alone)
        assert cost == expected
    assert fuse(memory, intervention=8)[1:] == (2 * 2 + 1, 0)  # continues from its last step
    for other in ({"seed": 1}, {"prompt": "hum"}, {"guidance": 2.0}, {"order": 2}, {"eta": 0.5}, {"steps": 11}):
        assert fuse(memory, **other)[1] > 2 * 7, other
    assert fuse(memory, negative="hum")[1] == 2 * 7 + 3
    assert fuse(memory, strength="even")[1] == 4 + 2  # the rest of the reference phase, its last step
    assert fuse(memory, strength="even", intervention=7.5)[1:] == (3, 0)
    hook.remove()


def test_the_completion_follows_a_prompt_of_its_own(prompted_model, monkeypatch):
    """The paper's flexible guidance: each of the settings changes the sound, and costs what it says."""
    rows = []
    hook = prompted_model.model.model.model.transformer.register_forward_pre_hook(
        lambda _, given: rows.append(len(given[0]))
    )

    def made(**settings):
        rows.clear()
        shared = {"blend": 0.5, "steps": 10, "hold": 0.2}
        return operations.fuse(prompted_model, sound(1), sound(2), FuseSettings(**shared | settings)), sum(rows)

    plain, calls = made()
    assert torch.equal(made(completion_guidance=3.0)[0], plain)  # nothing to guide
    under, same = made(completion_prompt="drum")
    guided, twice = made(completion_prompt="drum", completion_guidance=3.0)
    away, also = made(completion_prompt="drum", completion_guidance=3.0, negative="hum")
    assert (same, twice, also) == (calls, 2 * calls, 2 * calls)
    assert torch.equal(made(completion_prompt="drum", negative="hum")[0], under)  # no guidance leads away
    sounds = [plain, under, guided, away]
    assert all(not torch.equal(a, b) for i, a in enumerate(sounds) for b in sounds[i + 1 :])
    hook.remove()


@pytest.mark.parametrize("operation", ["generate", "vary"])
def test_guidance_leads_away_from_a_negative_prompt(operation, prompted_model):
    def made(**more):
        if operation == "generate":
            return operations.generate(prompted_model, GenerateSettings(prompt="drum", seconds=0.5, steps=4, **more))
        return operations.vary(prompted_model, sound(1), VarySettings(prompt="drum", steps=4, **more))

    assert not torch.equal(made(guidance=3.0), made(guidance=3.0, negative="hum"))
    assert torch.equal(made(guidance=1.0), made(guidance=1.0, negative="hum"))
    assert torch.equal(made(guidance=3.0), made(guidance=3.0, negative=""))
    # Away from the prompt itself nothing is left of the guidance.
    assert torch.allclose(made(guidance=3.0, negative="drum"), made(guidance=1.0), atol=1e-4)


def test_a_memory_knows_sounds_by_their_samples(tiny_model, monkeypatch):
    encoded, encode = [], tiny_model.encode
    monkeypatch.setattr(tiny_model, "encode", lambda audio: encoded.append(1) or encode(audio))
    memory, settings = Memory(1 << 20), FuseSettings(intervention=3, steps=4)
    results = [
        operations.fuse(tiny_model, sound(1), reference, settings, memory=memory)
        for reference in (sound(2), sound(2).clone(), sound(3))
    ]
    assert len(encoded) == 3
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[2], operations.fuse(tiny_model, sound(1), sound(3), settings))


def test_the_same_seed_gives_the_same_samples(tiny_model):
    def make(seed):
        return operations.fuse(tiny_model, sound(1), sound(2), FuseSettings(intervention=3, steps=6, seed=seed))

    before = torch.get_rng_state()
    first = make(4)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, make(4))
    assert not torch.equal(first, make(5))


@pytest.mark.parametrize("samples", [RATE // 2 - 4, 2 * RATE + 4])
def test_a_length_may_be_off_by_the_rounding_of_a_conversion(samples, tiny_model):
    result = operations.fuse(tiny_model, sound(1, samples), sound(2), FuseSettings(blend=0.5, steps=2, prompt=""))
    assert result.shape == (2, samples)


def test_a_prompt_leads_where_there_is_no_reference(prompted_model):
    def make(prompt, guidance=1.0):
        settings = FuseSettings(intervention=4, steps=6, prompt=prompt, guidance=guidance)
        return operations.fuse(prompted_model, sound(1), None, settings)

    drum = make("drum loop")
    assert drum.shape == (2, RATE)
    assert not torch.allclose(drum, make("hum"))
    assert not torch.allclose(drum, make("drum loop", guidance=4.0))


OPERATIONS = {
    "generate": lambda model, report: operations.generate(
        model, GenerateSettings(prompt="drum", seconds=1.0, steps=5), on_progress=report
    ),
    "vary": lambda model, report: operations.vary(
        model, sound(1), VarySettings(prompt="drum", strength=0.8, steps=5), on_progress=report
    ),
    "invert": lambda model, report: operations.invert(
        model, sound(1), InvertSettings(steps=5, reconstruct_from=1), on_progress=report
    ),
    "fuse": lambda model, report: operations.fuse(
        model, sound(1), sound(2), FuseSettings(intervention=2, steps=5), on_progress=report
    ),
    "fuse never": lambda model, report: operations.fuse(
        model, sound(1), sound(2), FuseSettings(blend=0.0, steps=5), on_progress=report
    ),
    "fuse at the end": lambda model, report: operations.fuse(
        model, sound(1), sound(2), FuseSettings(blend=1.0, steps=5), on_progress=report
    ),
}
STAGES = {
    "generate": ["sample", "decode"],
    "vary": ["encode", "sample", "decode"],
    "invert": ["encode", "sample", "decode"],
    "fuse": ["encode", "reference", "completion", "decode"],
    "fuse never": ["encode", "reference", "decode"],
    "fuse at the end": ["encode", "decode"],
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_progress_never_goes_back_and_ends_at_one(name, prompted_model):
    reports = []
    OPERATIONS[name](prompted_model, lambda stage, fraction: reports.append((stage, fraction)))
    fractions = [fraction for _, fraction in reports]
    assert fractions == sorted(fractions)
    assert fractions[0] >= 0.0
    assert fractions[-1] == pytest.approx(1.0)
    assert list(dict.fromkeys(stage for stage, _ in reports)) == STAGES[name]
    if name not in ("fuse at the end", "fuse never"):  # these sample nothing
        assert len(reports) >= 6


class Cancelled(Exception):
    pass


@pytest.mark.parametrize("name", ["generate", "vary", "invert", "fuse"])
def test_a_report_that_raises_stops_within_a_step(name, tiny_model, forwards):
    reports = 0

    def report(stage, fraction):
        nonlocal reports
        if stage in ("sample", "completion"):
            reports += 1
            if reports == 2:
                forwards.append("cancelled")
                raise Cancelled

    with pytest.raises(Cancelled):
        OPERATIONS[name](tiny_model, report)
    assert forwards[-1] == "cancelled"
    assert len(forwards) == 2


def test_generating_samples_from_noise_under_the_prompt(prompted_model):
    settings = GenerateSettings(prompt="drum", seconds=0.9, steps=4, order=2, eta=0.5, guidance=3.0, seed=8)
    result = operations.generate(prompted_model, settings)
    schedule = prompted_model.schedule(4)
    noise = StepNoise(8, (1, 4, 450))
    conditioning = prompted_model.condition("drum", seconds=0.9)
    predict = Denoiser(prompted_model.model, schedule).under(conditioning, guidance=3.0)
    latents = solver.sample(predict, noise.initial(), schedule, noise=noise, order=2, eta=0.5)
    assert torch.equal(result, prompted_model.decode(latents, samples=7200)[0])


def test_the_guidance_of_generating_is_the_models_own_unless_given(prompted_model):
    def make(guidance):
        settings = GenerateSettings(prompt="drum", seconds=0.5, steps=3, guidance=guidance)
        return operations.generate(prompted_model, settings)

    assert torch.equal(make(None), make(prompted_model.default_guidance))
    assert not torch.allclose(make(None), make(1.0))


def test_without_a_prompt_an_empty_text_is_another_null_prompt(prompted_model):
    def make(null, **more):
        return operations.generate(prompted_model, GenerateSettings(seconds=0.5, steps=3, null=null, **more))

    empty = make("empty", prompt="")
    assert not torch.allclose(empty, make("unconditional", prompt=""))
    schedule, noise = prompted_model.schedule(3), StepNoise(0, (1, 4, 250))
    under_text = Denoiser(prompted_model.model, schedule).under(prompted_model.condition("", seconds=0.5))
    latents = solver.sample(under_text, noise.initial(), schedule, noise=noise, order=3, eta=1.0)
    assert torch.equal(empty, prompted_model.decode(latents, samples=4000)[0])
    assert torch.equal(make("empty", prompt="drum", guidance=1.0), make("unconditional", prompt="drum", guidance=1.0))


@pytest.mark.parametrize("null", ["unconditional", "empty"])
def test_guidance_leads_away_from_the_null_prompt_that_is_asked_for(null, prompted_model):
    settings = GenerateSettings(prompt="drum", seconds=0.5, steps=3, guidance=3.0, null=null)
    schedule, noise = prompted_model.schedule(3), StepNoise(0, (1, 4, 250))
    denoiser = Denoiser(prompted_model.model, schedule)
    drum = denoiser.under(prompted_model.condition("drum", seconds=0.5))
    away = denoiser.under(prompted_model.null_condition(seconds=0.5, null=null))

    def led(x, step):
        return away(x, step) + 3.0 * (drum(x, step) - away(x, step))

    latents = solver.sample(led, noise.initial(), schedule, noise=noise, order=3, eta=1.0)
    expected = prompted_model.decode(latents, samples=4000)[0]
    torch.testing.assert_close(operations.generate(prompted_model, settings), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_reference_phases_of_different_null_prompts_are_not_mixed(guidance, prompted_model):
    memory = Memory(1 << 20)

    def fused(null, memory):
        settings = FuseSettings(intervention=2, steps=4, prompt="drum", guidance=guidance, null=null)
        return operations.fuse(prompted_model, sound(1), None, settings, memory=memory)

    remembered = [fused(null, memory) for null in ("unconditional", "empty")]
    assert torch.equal(remembered[0], fused("unconditional", None))
    assert torch.equal(remembered[1], fused("empty", None))
    assert not torch.allclose(*remembered)


def test_an_inversion_has_the_null_prompt_that_is_asked_for(prompted_model):
    def reconstructed(null):
        settings = InvertSettings(steps=4, reconstruct_from=2, null=null)
        return operations.invert(prompted_model, sound(1), settings).reconstruction

    assert not torch.allclose(reconstructed("empty"), reconstructed("unconditional"))


def test_lengths_that_a_model_does_not_make(tiny_model):
    with pytest.raises(SettingError) as caught:
        operations.generate(tiny_model, GenerateSettings(prompt="", seconds=2.5))
    assert caught.value.message == "tiny generates sounds from 0.5 to 2.0 seconds long; seconds is 2.5."
    assert (caught.value.field, caught.value.value, caught.value.code) == ("seconds", 2.5, "out_of_range")


def test_a_variation_of_no_strength_is_the_sound_itself(tiny_model, forwards):
    original = sound(1, 6001)
    result = operations.vary(tiny_model, original, VarySettings(strength=0.0, steps=6))
    assert torch.equal(result, round_trip(tiny_model, original))
    assert not forwards


def test_a_variation_goes_back_as_far_as_its_strength(tiny_model, forwards):
    original = sound(1)
    for strength, steps in {0.25: 2, 0.5: 4, 1.0: 8}.items():
        forwards.clear()
        operations.vary(tiny_model, original, VarySettings(strength=strength, steps=8, prompt="drum", guidance=2.0))
        assert forwards == [2] * steps
    forwards.clear()
    operations.vary(tiny_model, original, VarySettings(strength=0.5, steps=8))
    assert forwards == [1] * 4  # the null prompt needs no guidance


def test_a_variation_begins_with_noise_on_the_originals_latents(tiny_model):
    original, schedule = sound(1), tiny_model.schedule(6)
    result = operations.vary(tiny_model, original, VarySettings(strength=0.5, steps=6, seed=3))
    noise = StepNoise(3, (1, 4, 500))
    null = Denoiser(tiny_model.model, schedule).under(tiny_model.null_condition(seconds=1.0))
    x = tiny_model.encode(original) + schedule.sigmas[3] * noise.initial()
    latents = solver.sample(null, x, schedule, noise=noise, start=3)
    assert torch.equal(result, tiny_model.decode(latents, samples=RATE)[0])


def test_an_inversion_holds_the_latents_of_every_noise_level(prompted_model):
    original = sound(1)
    inverted = operations.invert(prompted_model, original, InvertSettings(steps=5))
    z_o = prompted_model.encode(original)
    assert inverted.reconstruction is None
    assert inverted.latents["latents"].shape == (6, 4, 500)
    assert torch.equal(inverted.latents["latents"][-1:], z_o)
    alphas = inverted.latents["alphas"]
    assert torch.allclose(inverted.latents["latents"], alphas[:, None, None] * z_o)
    assert torch.allclose(alphas + inverted.latents["sigmas"], torch.ones(6))


def test_a_reconstruction_from_the_last_point_is_the_round_trip(tiny_model):
    original = sound(1, 6001)
    inverted = operations.invert(tiny_model, original, InvertSettings(steps=5, reconstruct_from=5))
    assert torch.equal(inverted.reconstruction, round_trip(tiny_model, original))
    early = operations.invert(tiny_model, original, InvertSettings(steps=5, reconstruct_from=0)).reconstruction
    assert early.shape == original.shape
    assert not torch.allclose(early, inverted.reconstruction)


def test_the_predicted_anchor_is_the_noise_that_the_null_prompt_finds(tiny_model, forwards):
    original = sound(1)
    inverted = operations.invert(tiny_model, original, InvertSettings(steps=5, anchor="predicted", eta=0.0))
    assert forwards == [1]
    z_o, schedule = tiny_model.encode(original), tiny_model.schedule(5)
    null = Denoiser(tiny_model.model, schedule).under(tiny_model.null_condition(seconds=1.0))
    noise_map = (z_o - null(z_o, 4)) / schedule.sigmas[4]
    for point in range(5):
        expected = z_o + schedule.sigmas[point] * noise_map
        assert torch.allclose(inverted.latents["latents"][point : point + 1], expected, rtol=1e-4, atol=1e-4)


def test_an_anchor_without_finite_latents_is_refused_in_words(prompted_model):
    settings = FuseSettings(intervention=0, steps=5, anchor="predicted", strength="paper")
    with pytest.raises(SettingError) as caught:
        operations.fuse(prompted_model, sound(1), sound(2), settings)
    assert "'predicted' has no finite latents at step 0" in caught.value.message
    assert caught.value.field == "anchor"
    assert "eta 0" in caught.value.remedy


@pytest.mark.parametrize(("reference", "prompt"), [(sound(2), "drum"), (None, None), (None, "")])
def test_a_fusion_is_led_by_a_reference_or_by_a_prompt(reference, prompt, tiny_model):
    with pytest.raises(SettingError, match="needs either a reference or a prompt; it got") as caught:
        operations.fuse(tiny_model, sound(1), reference, FuseSettings(blend=0.5, prompt=prompt))
    assert caught.value.field == "reference"


@pytest.mark.parametrize(
    ("original", "reference", "field", "message"),
    [
        (sound(1)[:1], sound(2), "original", "original must be (2, samples)"),
        (sound(1), sound(2)[0], "reference", "reference must be (2, samples)"),
        (sound(1).int(), sound(2), "original", "of torch.int32"),
        (sound(1, 24), sound(2), "original", "original is 0.003 seconds long; tiny takes 0.5 to 2.0."),
        (sound(1, 3 * RATE), sound(2), "original", "original is 3.000 seconds long"),
        (sound(1), sound(2, 10), "reference", "reference is 0.001 seconds long"),
        (sound(1) / 0, sound(2), "original", "not finite numbers"),
    ],
)
def test_a_sound_that_a_model_does_not_take(original, reference, field, message, tiny_model):
    with pytest.raises(SoundError) as caught:
        operations.fuse(tiny_model, original, reference, FuseSettings(blend=0.5, steps=2))
    assert message in caught.value.message
    assert (caught.value.code, caught.value.field) == ("bad_sound", field)
    assert caught.value.remedy
