"""The likeness of a result to a sound by several measures, most of which share nothing with a codec's bands.

``log_mel`` is computed in bands much like those in which the codec of ``pocket`` stores a sound, so it hides what that codec loses. The others do not:
spectra at a short and at a long window, the envelope of onsets, partials that stand out of a local floor, loudness, and an embedding.
"""

from collections.abc import Sequence

import torch

from evaluation import embedding
from evaluation.intervals import over
from evaluation.tables import Row
from pocket import likeness
from pocket.material.synthesis import RATE

MEASURES = {
    "log_mel": "log-mel", "spectral_256": "spectra, 256", "spectral_16384": "spectra, 16,384", "onsets": "onsets", "partials": "partials",
    "embedding": "embedding", "level_lu": "level, LU",
}  # fmt: skip
"""Columns and their heads. All but the level are correlations, −1 … 1; the level is how much louder the result is, in LU."""
EXPLAINED = """Log-mel shares its bands with the codec of `pocket` and hides what that codec loses; the measures beside it do not: correlations of log spectra at windows of 256 and of
16,384 samples (time and pitch in detail), of onset envelopes, of partials that stand 6 dB out of their neighbourhood up to 8 kHz, and of the pretrained embedding; how much louder the result is, in LU (ITU-R BS.1770)."""


def measured(audio: torch.Tensor, sound: torch.Tensor, sample_rate: int, log_mel: float) -> dict[str, float | None]:
    """Return all measures of a result against a sound.

    Args:
        audio, sound: (channels, samples) of one length.
        sample_rate: in Hz.
        log_mel: the correlation of the two log-mel spectrograms.

    Raises:
        ValueError: the sample rate is not 44.1 kHz, for which the measures are made.
    """
    if sample_rate != RATE:
        raise ValueError(
            f"the measures need a sample rate of {RATE} Hz; the model has {sample_rate}. Choose another model."
        )
    audio, sound = audio.float().cpu(), sound.float().cpu()
    return {
        "log_mel": log_mel, "spectral_256": likeness.spectral(audio, sound, 256), "spectral_16384": likeness.spectral(audio, sound, 16384),
        "onsets": likeness.onsets(audio, sound), "partials": likeness.partials(audio, sound), "embedding": embedding.likeness(audio, sound),
        "level_lu": likeness.level(audio) - likeness.level(sound),
    }  # fmt: skip


def cells(rows: Sequence[Row], unit: Sequence[str], *, suffix: str = "") -> list[str]:
    """Return a cell for each measure: the mean over the units, with its interval.

    Args:
        suffix: of the columns, after the measure's name.
    """
    return [over(rows, f"{name}{suffix}", unit).text() for name in MEASURES]
