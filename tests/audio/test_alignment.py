"""Alignment of a reference to its original: known shifts and transpositions are found, and nothing is done where the match is not sure."""

import numpy as np
import pytest

from tertium.audio import alignment, onsets, pitch
from tertium.audio.alignment import align
from tertium.audio.loops import Loop
from tertium.audio.signal import Audio
from tests.sounds import tone

RATE = 44_100
HITS = (0.11, 0.52, 0.9, 1.47, 1.83, 2.6)
MAJOR, LATE = (220.0, 277.18, 329.63), (196.0, 233.08)
"""Hz of the notes of a chord, and of two others."""


def hits(times, *, seconds=3.0, rate=RATE, seed=0):
    """Return decaying bursts of noise at the times (s), each with the same burst: (2, frames)."""
    samples = np.zeros((2, round(seconds * rate)), np.float32)
    length = round(0.2 * rate)
    burst = np.random.default_rng(seed).normal(size=(2, length)) * np.exp(-np.arange(length) / (0.03 * rate))
    for at in times:
        places = (round(at * rate) + np.arange(length)) % samples.shape[1]
        samples[:, places] += 0.2 * burst.astype(np.float32)
    return Audio(samples, rate)


def chord(frequencies, *, seconds=2.0, rate=RATE):
    """Return notes of four partials each: (2, frames)."""
    partials = [(f * n, 0.1 / n) for f in frequencies for n in range(1, 5)]
    return Audio(sum(tone(f, seconds=seconds, sample_rate=rate, peak=peak) for f, peak in partials), rate)


def noise(seed, *, seconds=3.0, pink=False):
    samples = np.random.default_rng(seed).normal(size=(2, round(seconds * RATE)))
    if pink:
        bins = np.maximum(np.fft.rfftfreq(samples.shape[1]), 1 / samples.shape[1])
        samples = np.fft.irfft(np.fft.rfft(samples) / np.sqrt(bins), samples.shape[1])
    return Audio((0.1 * samples / samples.std()).astype(np.float32), RATE)


def silence(seconds=2.0):
    return Audio(np.zeros((2, round(seconds * RATE)), np.float32), RATE)


def joined(*sounds):
    return Audio(np.concatenate([sound.samples for sound in sounds], axis=1), RATE)


def mixed(one, other):
    frames = min(one.frames, other.frames)
    return Audio(one.samples[:, :frames] + other.samples[:, :frames], RATE)


def roughly(seconds, rate=RATE):
    return pytest.approx(seconds, abs=onsets.hop_of(rate) / rate)


@pytest.mark.parametrize("delay", [-1.2, -0.3217, -0.05, 0.0713, 0.4, 1.3])
def test_a_delay_is_found_within_a_hop_and_undone(delay):
    original = hits(HITS)
    late = hits([at + delay for at in HITS], seed=1)
    done = align("onsets", original, late)
    assert done.facts["shift"] == roughly(-delay)
    assert done.facts["onsets"]["best"] > 0.9 > 0.4 > done.facts["onsets"]["before"]
    assert done.reference.frames == late.frames
    again = align("onsets", original, done.reference)
    assert again.facts["shift"] == 0.0 and again.facts["onsets"]["before"] > 0.9


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_every_sample_rate_has_its_hop(rate):
    done = align("onsets", hits(HITS, rate=rate), hits([at + 0.25 for at in HITS], rate=rate))
    assert done.facts["shift"] == roughly(-0.25, rate)


def test_a_shorter_reference_is_turned_within_its_period():
    beat = [0.5 * n + 0.1 for n in range(8)]
    bar = hits([0.3], seconds=0.5, seed=1)
    done = align("onsets", hits(beat, seconds=4.0), bar)
    assert done.facts["shift"] == roughly(-0.2)
    assert done.reference.frames == bar.frames
    laid = Audio(np.tile(done.reference.samples, 8), RATE)
    assert align("onsets", hits(beat, seconds=4.0), laid).facts["shift"] == 0.0


def test_a_period_that_is_no_multiple_of_a_hop_does_not_drift():
    period = 0.5 + 0.4 * onsets.hop_of(RATE) / RATE
    beat = [period * n + 0.1 for n in range(40)]
    bar = hits([0.3], seconds=period, seed=1)
    done = align("onsets", hits(beat, seconds=40 * period), bar)
    assert done.facts["shift"] == roughly(-0.2) and done.facts["onsets"]["best"] > 0.9


def test_a_longer_reference_brings_another_part_under_the_original():
    later = joined(silence(0.4), hits(HITS, seed=1), noise(3))
    done = align("onsets", hits(HITS), later)
    assert done.facts["shift"] == roughly(-0.4)
    expected = later.samples[:, -round(done.facts["shift"] * RATE) :][:, : 3 * RATE]
    np.testing.assert_array_equal(done.reference.samples[:, : 3 * RATE], expected)


def test_what_is_out_of_reach_changes_nothing_under_the_original():
    long = joined(hits([at + 0.4 for at in HITS], seed=1), noise(3, seconds=30), hits(HITS, seed=2))
    within = alignment._in_reach(long, 3 * RATE)
    assert within.frames < long.frames / 4
    for shift in (-3 * RATE // 2, -1000, 0, 1000, 3 * RATE // 2):
        whole, part = (alignment.turned(one, shift).samples[:, : 3 * RATE] for one in (long, within))
        np.testing.assert_array_equal(whole, part)


def test_of_the_shifts_by_a_period_the_smallest_counts():
    beat = [0.5 * n + 0.1 for n in range(8)]
    done = align("onsets", hits(beat, seconds=4.0), hits([at + 0.15 for at in beat], seconds=4.0))
    assert done.facts["shift"] == roughly(-0.15)


def test_a_loop_and_a_sound_that_is_none_are_shifted_alike():
    """The worker cuts the context away that it has put around a loop."""
    original, late = hits(HITS), hits([at + 0.3 for at in HITS], seed=1)
    around = Loop(original.frames, 13_312, RATE).around(original)
    own = Audio(around.samples[:, 13_312 : 13_312 + original.frames], RATE)
    assert align("onsets", own, late).facts == align("onsets", original, late).facts


def test_the_joint_of_a_turned_reference_does_not_click():
    whole = tone(330, seconds=1.0)
    steady = whole[:, 2000 + whole[0, 2000:2140].argmin() : 41_000 + whole[0, 41_000:41_140].argmax()]
    turned = alignment.turned(Audio(steady, RATE), 10_000).samples
    assert np.abs(np.diff(turned)).max() < 2 * np.abs(np.diff(steady)).max()
    rolled = np.roll(steady, 10_000, axis=1)
    assert np.abs(np.diff(rolled)).max() > 4 * np.abs(np.diff(steady)).max()
    far = np.r_[0:9_000, 11_000 : steady.shape[1]]
    np.testing.assert_array_equal(turned[:, far], rolled[:, far])


def test_ends_that_meet_are_left_as_they_are():
    loop = np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE).astype(np.float32)[None] * 0.5
    np.testing.assert_array_equal(alignment.turned(Audio(loop, RATE), 777).samples, np.roll(loop, 777, axis=1))


@pytest.mark.parametrize("semitones", range(-5, 7))
def test_a_transposed_chord_is_found_and_put_back(semitones):
    original = chord(MAJOR)
    moved = chord([f * 2 ** (semitones / 12) for f in MAJOR])
    done = align("pitch", original, moved)
    expected = 6 if semitones == 6 else -semitones  # six semitones up lead to the same pitch classes as six down
    assert done.facts["transposition"] == expected
    assert done.reference.frames == moved.frames
    if semitones:
        assert done.facts["pitch"]["best"] > 0.9 > done.facts["pitch"]["before"]
        again = align("pitch", original, done.reference)
        assert again.facts["transposition"] == 0 and again.facts["pitch"]["before"] > 0.9


def test_transposition_moves_every_partial_and_no_onset():
    up = pitch.transposed(Audio(tone(440, seconds=1.0), RATE), 3)
    spectrum = np.abs(np.fft.rfft(up.samples[0] * np.hanning(up.frames)))
    assert spectrum.argmax() * RATE / up.frames == pytest.approx(440 * 2 ** (3 / 12), abs=2)
    original = hits(HITS)
    for semitones in (-5, 6):
        moved = pitch.transposed(original, semitones)
        assert moved.samples.shape == original.samples.shape and moved.samples.dtype == np.float32
        assert align("onsets", original, moved).facts["shift"] == 0.0


def test_a_repeated_reference_that_is_transposed_neither_fades_nor_clicks_at_its_joints():
    """Of a steady sound, whose ends meet."""
    time = np.arange(RATE) / RATE
    steady, wanted = (
        Audio(sum(0.1 * np.sin(2 * np.pi * round(f) * up * time) for f in MAJOR).astype(np.float32)[None], RATE)
        for up in (1.0, 2 ** (3 / 12))
    )
    three = Audio(np.tile(wanted.samples, 3), RATE)
    done = align("pitch", three, steady)
    assert done.facts["transposition"] == 3 and done.reference.frames == RATE
    laid = np.tile(done.reference.samples[0], 2)
    levels = np.sqrt(np.convolve(laid**2, np.ones(4410) / 4410, "valid"))
    assert levels[RATE - 4410 : RATE].min() > 0.94 * np.median(levels)
    steps = np.abs(np.diff(laid, n=2))  # which a jump raises most
    assert steps[RATE - 3 : RATE + 1].max() < 1.5 * steps[RATE // 4 : RATE // 2].max()


@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("pink", [False, True])
def test_noise_is_left_alone(seconds, pink):
    for seed in range(4):
        reference = noise(seed, seconds=seconds, pink=pink)
        for original in (noise(seed + 50, seconds=seconds, pink=pink), mixed(hits(HITS), chord(MAJOR))):
            done = align("both", original, reference)
            assert (done.facts["shift"], done.facts["transposition"]) == (0.0, 0)
            assert done.reference.samples is reference.samples
            assert [note.split(":")[0] for note in done.reference.notes] == ["not shifted", "not transposed"]


def test_a_tone_that_noise_all_but_covers_is_no_pitch():
    faint = mixed(noise(1), Audio(tone(440 * 2 ** (3 / 12), seconds=3.0, peak=0.02), RATE))
    clear = mixed(noise(1), Audio(tone(440 * 2 ** (3 / 12), seconds=3.0, peak=0.5), RATE))
    assert align("pitch", chord((440.0,), seconds=3.0), faint).facts["pitch"] is None
    assert align("pitch", chord((440.0,), seconds=3.0), clear).facts["transposition"] == -3


def test_only_what_sounds_with_the_original_counts_for_the_pitch():
    lower, other = (chord([f * 2 ** (n / 12) for f in MAJOR], seconds=seconds) for n, seconds in ((-2, 2.0), (3, 4.0)))
    assert align("pitch", chord(MAJOR), joined(lower, other)).facts["transposition"] == 2


@pytest.mark.parametrize("which", ["original", "reference", "both"])
def test_silence_is_left_alone(which):
    sounds = {"original": mixed(hits(HITS), chord(MAJOR)), "reference": mixed(hits(HITS), chord(MAJOR))}
    sounds |= {role: silence() for role in sounds if which in (role, "both")}
    done = align("both", **sounds)
    assert done.facts == {"asked": "both", "shift": 0.0, "transposition": 0, "onsets": None, "pitch": None}
    assert done.reference.notes == (
        "not shifted: it or the original has no clear onsets; give sounds with attacks, or align it by pitch alone",
        "not transposed: it or the original has no clear pitch; transpose it yourself, or align it by onsets alone",
    )
    assert done.reference.samples is sounds["reference"].samples


def test_a_steady_tone_has_no_onsets():
    steady = Audio(np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE).astype(np.float32)[None] * 0.5, RATE)
    assert align("onsets", hits(HITS), steady).facts["onsets"] is None


def test_unsure_onsets_are_left_alone_and_the_note_says_what_to_do():
    rng = np.random.default_rng(5)
    one, other = (hits(rng.uniform(0, 11.5, count), seconds=12.0) for count in (24, 20))
    done = align("onsets", one, other)
    best = done.facts["onsets"]["best"]
    assert best < 0.4 and done.facts["shift"] == 0.0
    assert done.reference.notes == (
        f"not shifted: its onsets match the original's nowhere clearly (likeness {best:.2f} at best, 0.4 is needed); "
        "give another part of it, or one that is shifted already",
    )


def test_unsure_pitches_are_left_alone_and_the_note_says_what_to_do():
    cluster = [220 * 2 ** (n / 12) for n in (0, 1, 2, 3, 4, 5)]
    whole_tones = [220 * 2 ** (n / 12) for n in (0, 2, 4, 6, 8, 10)]
    sines = [Audio(sum(tone(f, seconds=2.0, peak=0.1) for f in notes), RATE) for notes in (cluster, whole_tones)]
    done = align("pitch", *sines)
    best = done.facts["pitch"]["best"]
    assert best < 0.5 and done.facts["transposition"] == 0
    assert done.reference.notes == (
        f"not transposed: its pitch classes match the original's nowhere clearly (likeness {best:.2f} at best, 0.5 is "
        "needed); give another part of it, or one that is transposed already",
    )


def test_a_pair_that_matches_already_is_left_alone():
    done = align(
        "both", mixed(hits(HITS), chord(MAJOR, seconds=3.0)), mixed(hits(HITS, seed=1), chord(MAJOR, seconds=3.0))
    )
    assert (done.facts["shift"], done.facts["transposition"]) == (0.0, 0)
    likeness = done.facts["onsets"], done.facts["pitch"]
    assert min(one["before"] for one in likeness) > 0.9
    assert done.reference.notes == tuple(
        f"not {what}: its {of} match the original's as they are (likeness {one['before']:.2f}, {one['best']:.2f} at best); nothing is to be done"
        for what, of, one in zip(("shifted", "transposed"), ("onsets", "pitch classes"), likeness, strict=True)
    )


def test_only_what_is_asked_is_done_and_told():
    original = mixed(hits(HITS), chord(MAJOR, seconds=3.0))
    reference = mixed(hits([at + 0.3 for at in HITS], seed=1), chord([f * 2 ** (-2 / 12) for f in MAJOR], seconds=3.0))
    by = {asked: align(asked, original, reference) for asked in alignment.ALIGNS}
    assert by["off"].reference is reference
    facts = {asked: (round(done.facts["shift"], 1), done.facts["transposition"]) for asked, done in by.items()}
    assert facts == {"off": (0, 0), "onsets": (-0.3, 0), "pitch": (0, 2), "both": (-0.3, 2)}
    before, best = by["both"].facts["onsets"].values()
    low, high = by["both"].facts["pitch"].values()
    assert by["both"].reference.notes == (
        f"begins {-by['both'].facts['shift']:.3f} s earlier, for its onsets to match the original's (likeness {best:.2f} instead of {before:.2f})",
        f"transposed by +2 semitones, for its pitch classes to match the original's (likeness {high:.2f} instead of {low:.2f})",
    )
    assert set(by["onsets"].facts) == {"asked", "shift", "transposition", "onsets"}


def test_the_same_sounds_are_aligned_alike():
    original = mixed(hits(HITS), chord(MAJOR, seconds=3.0))
    reference = mixed(hits([at + 0.3 for at in HITS], seed=1), chord(LATE, seconds=3.0))
    one, other = (align("both", original, reference) for _ in range(2))
    assert one.facts == other.facts and one.reference.notes == other.reference.notes
    np.testing.assert_array_equal(one.reference.samples, other.reference.samples)
