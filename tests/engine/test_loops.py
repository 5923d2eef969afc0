"""Loops in the engine: noise, reference and reference phase repeat with the loop; with the embedded model, the seam is
inaudible.
"""

import copy

import numpy as np
import pytest
import soundfile
import torch

from tertium.audio import loops
from tertium.audio.signal import Audio
from tertium.engine import operations, pair
from tertium.engine.fusion.loops import Loop
from tertium.engine.fusion.reference_phase import Memory
from tertium.engine.fusion.similarity import log_mel_correlation
from tertium.engine.inputs import noise_of
from tertium.engine.models.loaded_model import load_model
from tertium.engine.operations import FuseSettings, MorphSettings, VarySettings
from tests.end_to_end.test_daemon_pocket import SOUNDS

UNIT = 16  # of the tiny models


def sound(seed, samples):
    return 0.2 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def around(audio, before, after):
    return audio[:, torch.arange(-before, audio.shape[1] + after) % audio.shape[1]]


def test_latent_frames_know_their_place():
    loop = Loop(before=32, samples=80)
    assert loop.places(9, UNIT).tolist() == [3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert Loop(before=0, samples=1).places(3, UNIT).tolist() == [0, 0, 0]


@pytest.mark.parametrize("own", [300, 2000, 5000, 9000])
def test_a_reference_goes_round_and_is_led_over(own):
    reference, loop = sound(1, own), Loop(before=700, samples=5000)
    laid = loop.around(reference, 700 + 5000 + 900)
    once = laid[:, 700:5700]
    assert torch.equal(laid[:, :700], once[:, -700:])
    assert torch.equal(laid[:, 5700:], once[:, :900])
    under = reference.repeat(1, 30)
    assert torch.equal(once[:, 882:], under[:, 882:5000]), "after the crossfade it is as without a loop"
    if 5000 % own == 0:
        assert torch.equal(once[:, :882], under[:, :882]), "a reference that repeats evenly is unchanged"
    else:
        assert torch.allclose(once[:, 0], under[:, 5000], atol=1e-3), "it continues from the end of the previous round"


def test_the_noise_of_a_loop_is_its_own_repeated(tiny_model):
    samples = tiny_model.model.min_input_length * 3
    plain = noise_of(tiny_model, FuseSettings(blend=0.5, seed=5), tiny_model.frames(samples))
    loop = Loop(before=2 * UNIT, samples=samples)
    frames = tiny_model.frames(samples) + 4
    looped = noise_of(tiny_model, FuseSettings(blend=0.5, seed=5, loop=loop), frames)
    for one, other in ((plain.initial(), looped.initial()), (plain(3), looped(3))):
        assert torch.equal(other[..., 2:-2], one)
        assert torch.equal(other[..., :2], one[..., -2:])
        assert torch.equal(other[..., -2:], one[..., :2])


@pytest.mark.parametrize("trained_seconds", [None, 0.5, 0.9])
def test_a_prompt_or_what_was_learned_is_laid_under_the_loop_as_without_one(prompted_model, trained_seconds):
    """The reference alone, in latents: unchanged within the loop and repeated around it, with a single reference phase."""
    model = copy.copy(prompted_model)
    model.checkpoint, model.trained_seconds = "one" if trained_seconds else None, trained_seconds
    unit = model.downsampling
    samples = tiny_unit(model) * (5600 // tiny_unit(model))
    original, memory = sound(1, samples), Memory(10**8)
    before = tiny_unit(model) * 4
    settings = {"steps": 4, "prompt": "rain", "blend": 0.0, "seed": 3}
    plain = pair.prepare(model, original, None, FuseSettings(**settings), memory=memory).fused(None)
    size, surrounded = memory.nbytes, around(original, before, before)
    looped = pair.prepare(
        model, surrounded, None, FuseSettings(**settings, loop=Loop(before, samples)), memory=memory
    ).fused(None)  # fmt: skip
    edge = before // unit
    inner = looped[..., edge:-edge]
    assert torch.equal(inner, plain)
    assert torch.equal(looped[..., :edge], inner[..., -edge:])
    assert torch.equal(looped[..., -edge:], inner[..., :edge])
    added = memory.nbytes - size
    assert added == model.encode(surrounded).nbytes, "only the original was encoded: the reference phase was there"


def tiny_unit(model):
    return model.model.min_input_length


# ------------------------------------------------------------------ with the embedded model


@pytest.fixture(scope="module")
def pocket():
    return load_model("pocket", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def demo():
    return {
        name: soundfile.read(SOUNDS / f"{name}.flac", dtype="float32", always_2d=True)[0].T
        for name in ("safari_drums", "haunted_hum")
    }


def bar(demo, begin, seconds):
    first = round(begin * 44_100)
    return np.ascontiguousarray(demo["safari_drums"][:, first : first + round(seconds * 44_100)])


def steps(samples):
    """Return the step at the seam, and the largest within the loop, in dBFS."""
    within = np.abs(np.diff(samples, axis=1)).max()
    return tuple(20 * np.log10(max(x, 1e-9)) for x in (np.abs(samples[:, 0] - samples[:, -1]).max(), within))


def looping(pocket, samples, rate=44_100):
    about = {"sample_rate": rate, "downsampling": pocket.downsampling, "max_seconds": pocket.max_seconds}
    decision = loops.decide("auto", Audio(samples, rate), about)
    assert decision.loop is not None, decision.note
    given = torch.from_numpy(decision.loop.around(Audio(samples, rate)).samples)
    return decision.loop, given, Loop(*decision.loop.at(rate))


@pytest.mark.parametrize(("begin", "seconds"), [(1.0, 2.0), (0.5, 2.0), (1.0, 4.0), (2.0, 0.5), (1.25, 1.7537)])
def test_no_seam_is_heard_however_far_a_loop_is_fused(pocket, demo, begin, seconds):
    samples, hum = bar(demo, begin, seconds), torch.from_numpy(demo["haunted_hum"])
    loop, given, placed = looping(pocket, samples)
    for blend in (0.0, 0.5, 1.0):
        settings = FuseSettings(blend=blend, hold=0.2, seed=1, loop=placed)
        result = operations.fuse(pocket, given, hum, settings).numpy()
        closed = loop.closed(result, 44_100, samples.shape[1])
        seam, within = steps(closed)
        assert closed.shape == samples.shape
        assert seam < within - 6
        rounds = np.tile(closed, 64)
        assert rounds.shape[1] == 64 * samples.shape[1]
        assert steps(rounds)[1] == pytest.approx(max(seam, within))


def test_without_it_a_seam_is_the_loudest_of_all(pocket, demo):
    """Verify that there is a seam to remove: in some of a few cuts of the hum, whose ends do not meet."""
    hum, louder = torch.from_numpy(demo["haunted_hum"]), []
    for begin, end in ((0.5, 1.63), (1.0, 2.0), (0.7, 2.11)):
        cut = hum[:, round(begin * 44_100) : round(end * 44_100)].contiguous()
        seam, within = steps(operations.fuse(pocket, cut, hum, FuseSettings(blend=0.9, hold=0.2, seed=1)).numpy())
        louder.append(seam - within)
    assert max(louder) > 6


def test_the_ends_of_the_knob_stay_the_two_sounds(pocket, demo):
    """Within the loop, 0 % and 100 % match the codec's renderings of the two sounds as closely as shifted copies of
    these do.
    """
    samples, hum = bar(demo, 1.0, 2.0), torch.from_numpy(demo["haunted_hum"])
    loop, given, placed = looping(pocket, samples)
    inner = slice(4096, -4096)
    for blend in (0.0, 1.0):
        plain = operations.fuse(pocket, torch.from_numpy(samples), hum, FuseSettings(blend=blend))
        result = operations.fuse(pocket, given, hum, FuseSettings(blend=blend, loop=placed)).numpy()
        closed = torch.from_numpy(loop.closed(result, 44_100, samples.shape[1]))
        assert likeness(closed[:, inner], plain[:, inner]) > 0.97


def likeness(one, other):
    from tertium.engine.fusion.similarity import log_mel, mel_power

    return log_mel_correlation(*(log_mel(mel_power(x, 44_100)) for x in (one, other)))


def test_morphs_and_variations_close_too(pocket, demo):
    samples, hum = bar(demo, 1.0, 1.0), torch.from_numpy(demo["haunted_hum"])
    loop, given, placed = looping(pocket, samples)
    settings = MorphSettings(count=4, hold=0.2, steps=20, loop=placed)
    results = [take.audio for take in operations.morph(pocket, given, hum, settings)]
    results.append(operations.vary(pocket, given, VarySettings(strength=0.5, steps=20, loop=placed)))
    for one in results:
        seam, within = steps(loop.closed(one.numpy(), 44_100, samples.shape[1]))
        assert seam < within - 6
