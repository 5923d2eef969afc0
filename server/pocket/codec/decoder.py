"""A trained decoder of the codec's latents: a small network predicts how phases change, and the phases are added up from that.

Vocos (Siuzdak 2023, arXiv 2306.00814) predicts the phase of every bin. From latents that describe magnitudes this cannot work for a steady tone: its latents do not
change, so a network that is the same at all times answers with a constant phase, which is a tone at a multiple of the frame rate. Hence the network predicts how a
phase *changes*, from one spectrum to the next and from one bin to the next, as two complex numbers in each bin whose lengths say how sure they are (cf. Masuyama
et al. 2020, "Phase reconstruction based on recurrent phase unwrapping"). :func:`integrate` adds these changes up.
"""

import math

import torch
from torch import nn

from pocket.codec.phase_network import ALONG_FREQUENCY, ALONG_TIME, DECIBELS, FLOOR_DB, PhaseNetwork, levels_of, predict
from tertium.engine.models import phase_retrieval
from tertium.engine.models.pocket_codec import FAINTEST, SpectralCodec

LOG_10 = math.log(10)
_SHARP = (0.1, 0.4)  # sharpness from which a change in closed form is sure: onset and full effect, as in the codec
_NEIGHBOURHOOD = 7  # bins over which the phases of one spectrum are held together
_TOGETHER, _FRESH, _CHANCE = 8.0, 0.5, 0.3  # weights in `integrate`, chosen on ten crops of training material


def targets(codec: SpectralCodec, sound: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what sounds (batch, 2, whole frames) should give.

    That is (batch, spectra, bins, 5), see :data:`DECIBELS`, but with the whole level; and the power of both channels (batch, spectra, bins).
    """
    spectra = torch.view_as_real(codec.stft(sound).transpose(-1, -2))
    real, imaginary = spectra[..., 0].contiguous(), spectra[..., 1].contiguous()
    power = real.square() + imaginary.square()
    size = (power + 1e-24).sqrt()
    advance = centre_advance(codec)

    def changes(shift: tuple[int, ...], turn: torch.Tensor) -> list[torch.Tensor]:
        """Return cosine and sine of the change from the spectrum or bin before, of both channels together."""
        before = [torch.nn.functional.pad(x, shift)[..., : x.shape[-2], : x.shape[-1]] for x in (real, imaginary, size)]
        norm = (size * before[2]).sum(1) + 1e-12
        cosine = (real * before[0] + imaginary * before[1]).sum(1) / norm
        sine = (imaginary * before[0] - real * before[1]).sum(1) / norm
        return [cosine * turn.real - sine * turn.imag, cosine * turn.imag + sine * turn.real]

    along = changes((0, 0, 1, 0), advance.conj()) + changes((1, 0), torch.tensor(-1.0 + 0j))
    level = 10 * torch.log10(power.mean(1) + 10 ** (FLOOR_DB / 10))
    return torch.stack([level, *along], -1), power.sum(1)


def integrate(codec: SpectralCodec, magnitudes: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Return unit phasors (batch, bins, spectra) whose changes are those predicted.

    A spectrum's phases continue those of the one before, as far as that was loud in a bin and the change is sure. What continues in a neighbourhood of bins turns
    the phases added up along frequency into place; where nothing continues, as at an attack, these stand alone. Where nothing is sure, as in noise, chance decides.

    Args:
        magnitudes: of both channels together, (batch, spectra, bins).
        predicted: (batch, spectra, bins, 5), see :data:`DECIBELS`.
    """
    time, frequency = (
        torch.view_as_complex(predicted[..., part].contiguous()) for part in (ALONG_TIME, ALONG_FREQUENCY)
    )
    time, frequency = (change / change.abs().clamp(min=1.0) for change in (time, frequency))
    chance = torch.randn(2, *magnitudes.shape, generator=torch.Generator().manual_seed(1)).to(magnitudes)
    chance = torch.complex(*chance) * (_CHANCE * 0.7 * magnitudes * (1 - torch.maximum(time.abs(), frequency.abs())))
    steady = time * centre_advance(codec).to(magnitudes.device)
    contour = torch.polar(frequency.abs(), torch.cumsum((-frequency).angle().double(), -1).to(magnitudes))
    window = torch.hann_window(_NEIGHBOURHOOD + 2, periodic=False)[1:-1].to(magnitudes)
    state, found = torch.zeros_like(contour[:, 0]), []
    for at in range(magnitudes.shape[1]):
        shape, going_on = contour[:, at], state * steady[:, at]
        offset = shape.conj() * going_on
        alone = _FRESH * magnitudes[:, at] * _unit(offset.sum(-1, keepdim=True) + 1e-9)
        phase = _unit(going_on + shape * (_TOGETHER * _smooth(offset, window) + alone) + chance[:, at])
        state = phase * magnitudes[:, at]
        found.append(phase)
    return torch.stack(found, -1)


@torch.no_grad()
def decode(codec: SpectralCodec, network: PhaseNetwork | None, z: torch.Tensor, *, rounds: int = 2) -> torch.Tensor:
    """Return audio (batch, 2, frames * 1,024) of latents (batch, channels, frames).

    Args:
        network: None takes the changes that the magnitudes imply in closed form; see :func:`implied`.
        rounds: of the fast Griffin-Lim algorithm, which fits the integrated phases to the magnitudes of each channel.
    """
    magnitudes, coherence = codec.spectrum(codec.decode_features(z))
    if network is None:
        predicted = implied(codec, magnitudes.square().mean(1).sqrt())
    else:
        predicted = predict(network, levels_of(magnitudes))
        gain = (predicted[..., DECIBELS].clamp(-12, 12) / 20 * LOG_10).exp().transpose(1, 2)
        magnitudes = magnitudes * gain[:, None]
    together = magnitudes.square().mean(1).sqrt().transpose(1, 2)
    phases = codec.stereo_phase(integrate(codec, together, predicted), coherence)
    return codec.istft(magnitudes * codec.griffin_lim(magnitudes, phases, rounds))


def implied(codec: SpectralCodec, magnitudes: torch.Tensor) -> torch.Tensor:
    """Return the changes (batch, spectra, bins, 5) that magnitudes (batch, bins, spectra) imply in closed form, and levels of 0.

    That is the phase gradient of a Gaussian window (see :mod:`tertium.engine.models.phase_retrieval`), as sure as the neighbourhood resembles a partial or an attack.
    """
    time, frequency = phase_retrieval.gradient(magnitudes.clamp(min=FAINTEST).log(), n_fft=codec.n_fft, hop=codec.hop)
    before = torch.nn.functional.pad(time, (1, 0))[..., :-1]
    below = torch.nn.functional.pad(frequency, (0, 0, 1, 0))[:, :-1]
    sharpness = phase_retrieval.sharpness(magnitudes, n_fft=codec.n_fft, hop=codec.hop, faintest=FAINTEST)
    sure = ((sharpness - _SHARP[0]) / (_SHARP[1] - _SHARP[0])).clamp(0, 1)
    along = [(time + before) / 2, (frequency + below) / 2]
    parts = [torch.zeros_like(sure), *(part for turn in along for part in (sure * turn.cos(), sure * turn.sin()))]
    return torch.stack(parts, -1).transpose(1, 2)


def centre_advance(codec: SpectralCodec) -> torch.Tensor:
    """Return by how much the phase at each bin's centre turns from one spectrum to the next, as unit phasors (bins,)."""
    turns = torch.remainder(torch.arange(codec.n_fft // 2 + 1) * codec.hop / codec.n_fft, 1.0)
    return torch.polar(torch.ones_like(turns), 2 * torch.pi * turns)


def _smooth(values: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Return complex values (batch, bins) averaged over neighbouring bins."""
    parts = torch.view_as_real(values).movedim(-1, 1).flatten(0, 1)[:, None]
    smooth = nn.functional.conv1d(parts, (window / window.sum())[None, None], padding=len(window) // 2)
    return torch.view_as_complex(smooth[:, 0].unflatten(0, (-1, 2)).movedim(1, -1).contiguous())


def _unit(values: torch.Tensor) -> torch.Tensor:
    return values / values.abs().clamp(min=1e-12)
