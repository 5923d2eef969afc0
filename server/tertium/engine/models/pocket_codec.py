"""The embedded model's codec: a spectrogram under a closed-form linear map, decoded with phases of a small network.

It takes the place of a latent-diffusion model's autoencoder (stable-audio-tools' ``Pretransform``). A latent frame
describes 1,024 samples:

- for each of two spectra, in each channel, the energy in 288 bands (one bin wide up to 1.9 kHz, with equal ratios
  above) in decibels;
- the similarity of the two channels, as the coherence in 12 groups of bands, smoothed over time.

A projection on principal components, whose span includes silence, maps these features to 256 numbers. Their mean square
is 1; the spread of each is the square root of that of its component, so that an error of a given size costs about the
same in every one.

Decoding inverts the projection and spreads each band over its bins. A small network, the only part that was trained by
gradient descent, then says how the phases change (:mod:`tertium.engine.models.phase_network`), for both channels
together, and corrects the levels; the changes are added up (:mod:`tertium.engine.models.phase_integration`). These
phases are spread apart as far as the coherence requires, as in parametric stereo, and a few rounds of the fast
Griffin-Lim algorithm (Perraudin, Balazs and Søndergaard 2013, "A fast Griffin-Lim algorithm") fit them to the
magnitudes of each channel.
"""

import math

import torch

from tertium.engine.models import phase_network, stable_audio
from tertium.engine.models.phase_integration import centre_advance, integrate

Pretransform = stable_audio.load("stable_audio_tools.models.pretransforms").Pretransform

_GATE_DB = 2.0  # bands this close to the floor decode to silence, so that silence stays silent
_TOP_DB = 12.0  # maximum level of a decoded band above a full-scale sine: latents from a sampler are unbounded
_LARGEST = 1e3  # latents of sounds stay within about 30
# The projection leaves the channels of a dual-mono sound nearly, but not exactly, equal in coherence and in level.
# Within these thresholds they are made equal again.
_ALIKE_COHERENCE = (0.7, 0.8)  # onset and full effect
_ALIKE_DB = (1.8, 1.4)  # mean level difference in a band: onset and full effect
_ALIKE_SPECTRA = 43  # half a second
_COHERENCE_DB = 12.0  # weight of a change of the coherence by one, relative to decibels in a band
_CORRECTION_DB = 12.0  # the most by which the network corrects a level
_SPREAD_ROUNDS = 8
_MOMENTUM = 0.99  # of the fast Griffin-Lim algorithm, as its authors recommend


class SpectralCodec(Pretransform):
    """A codec between audio and latents, with stable-audio-tools' ``Pretransform`` interface.

    Deterministic: the same latents give the same samples, and no global state (such as a random state) is read or
    changed. The projection (``mean``, ``encoder``, ``decoder``) and the network (``phases``) come from
    :meth:`load_state_dict`; before that everything maps to silence.

    Args:
        sample_rate: of the audio, in Hz. The bands are defined in bins, so this only documents the rate that the codec
            was fitted to.
        latent_channels: number of channels of a latent frame.
        bands: of a spectrum, a multiple of the 12 groups.
        phase_width: of the network's hidden layers.
        rounds: of Griffin-Lim, after the phase integration.
    """

    n_fft = 2048
    hop = 512
    stack = 2
    groups = 12
    floor_db = phase_network.FLOOR_DB

    def __init__(
        self,
        *,
        sample_rate: int = 44100,
        latent_channels: int = 160,
        bands: int = 288,
        phase_width: int = 32,
        rounds: int = 2,
    ):
        super().__init__(enable_grad=False, io_channels=2, is_discrete=False)
        self.sample_rate = sample_rate
        self.encoded_channels = latent_channels
        self.downsampling_ratio = self.hop * self.stack
        self.bands = bands
        self.rounds = rounds
        width = 2 * self.stack * self.bands + self.groups
        self.register_buffer("mean", torch.full((width,), self.floor_db))
        self.register_buffer("encoder", torch.zeros(latent_channels, width))
        self.register_buffer("decoder", torch.zeros(width, latent_channels))
        self.register_buffer("window", torch.hann_window(self.n_fft), persistent=False)
        self.register_buffer("bank", band_matrix(self.bands, self.n_fft // 2 + 1), persistent=False)
        self.register_buffer("apart", _quadrature(self.n_fft // 2 + 1), persistent=False)
        self.phases = phase_network.PhaseNetwork(phase_width).requires_grad_(False)

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return latents (batch, 256, frames) of audio (batch, 2, samples), float, nominally within -1 … 1.

        The end is padded with silence to whole latent frames: frames = ceil(samples / 1,024), at least 1.
        """
        return self.project(self.features(x))

    def project(self, features: torch.Tensor) -> torch.Tensor:
        """Return latents (batch, channels, frames) of features, see :meth:`features`."""
        return torch.einsum("kd,bdf->bkf", self.encoder, features - self.mean[:, None])

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return audio (batch, 2, frames * 1,024), finite and bounded, of any latents (batch, 256, frames)."""
        return self.synthesise(self.decode_features(z))

    def decode_features(self, z: torch.Tensor) -> torch.Tensor:
        """Return features (batch, 1164, frames) of latents (batch, 256, frames)."""
        z = torch.nan_to_num(z.to(self.decoder.dtype)).clamp(-_LARGEST, _LARGEST)
        return torch.einsum("dk,bkf->bdf", self.decoder, z) + self.mean[:, None]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the input of the projection, (batch, 1164, frames), in decibels.

        A latent frame holds the bands by channel and spectrum, then the coherence.
        """
        samples = max(x.shape[-1], 1)
        padded = -(-samples // self.downsampling_ratio) * self.downsampling_ratio
        x = torch.nn.functional.pad(x.to(self.window.dtype), (0, padded - x.shape[-1]))
        spectra = self.stft(x)
        powers = self.to_bands(spectra.abs().square())
        decibels = 10 * torch.log10(powers + 10 ** (self.floor_db / 10))
        return torch.cat([self.stacked(decibels), self._coherence(spectra, powers)], dim=1)

    def synthesise(self, features: torch.Tensor) -> torch.Tensor:
        """Return audio (batch, 2, frames * 1,024) of features (batch, 1164, frames), their inverse except for phase."""
        return self.sound(*self.spectrum(features))

    def spectrum(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return magnitudes and coherences from features (batch, 1164, frames).

        Magnitudes are (batch, 2, bins, 2 * frames), coherences (batch, 12, 2 * frames), -1 … 1. A band wider than a bin
        is spread smoothly over its bins.
        """
        powers = self._powers(features)
        coherence = (features[:, -self.groups :] / _COHERENCE_DB + 1).repeat_interleave(self.stack, -1)
        powers, coherence = self._make_alike(powers, coherence.clamp(-1, 1))
        return self._spread(powers).sqrt(), coherence

    def sound(self, magnitudes: torch.Tensor, coherence: torch.Tensor) -> torch.Tensor:
        """Return audio (batch, 2, frames * 1,024) of the result of :meth:`spectrum`, with phases of the network."""
        levels = phase_network.levels_of(magnitudes)
        predicted = self.phases.everywhere(levels)
        predicted[..., phase_network.CHANGES] *= phase_network.certainty(levels)[..., None]
        correction = predicted[..., phase_network.DECIBELS].clamp(-_CORRECTION_DB, _CORRECTION_DB)
        magnitudes = magnitudes * (correction * (math.log(10) / 20)).exp().transpose(1, 2)[:, None]
        shared = magnitudes.square().mean(1).sqrt().transpose(1, 2)
        # The integration is a recursion of small operations, and uses double precision, which not every device has.
        found = integrate(shared.cpu(), predicted.cpu(), centre_advance(n_fft=self.n_fft, hop=self.hop))
        phases = self.stereo_phase(found.to(magnitudes.device), coherence)
        return self.istft(magnitudes * self.griffin_lim(magnitudes, phases, self.rounds))

    def levels(self, features: torch.Tensor) -> torch.Tensor:
        """Return the decibels in features, (batch, 2, bands, spectra), at least those of the floor."""
        stacked = features[:, : -self.groups].unflatten(1, (2, self.stack, self.bands))
        return stacked.permute(0, 1, 3, 4, 2).flatten(-2).clamp(min=self.floor_db)

    def stacked(self, decibels: torch.Tensor) -> torch.Tensor:
        """Return decibels (batch, 2, bands, spectra) as features without their coherence, (batch, 2 * stack * bands, frames)."""
        return decibels.unflatten(-1, (-1, self.stack)).permute(0, 1, 4, 2, 3).flatten(1, 3)

    def _powers(self, features: torch.Tensor) -> torch.Tensor:
        """Return energies of bands (batch, 2, bands, spectra) from features; 0 at the floor."""
        decibels = self.levels(features).clamp(max=_TOP_DB)
        return torch.where(decibels > self.floor_db + _GATE_DB, 10 ** (decibels / 10) - 10 ** (self.floor_db / 10), 0.0)

    def stft(self, x: torch.Tensor) -> torch.Tensor:
        """Map (…, samples) to (…, bins, samples / hop).

        Spectrum m is centred on sample (m + 1/2) hop. A full-scale sine has magnitude 1.
        """
        margin = (self.n_fft - self.hop) // 2
        pieces = torch.nn.functional.pad(x, (margin, margin)).unfold(-1, self.n_fft, self.hop)
        return torch.fft.rfft(pieces * (self.window * (2 / self.window.sum()))).transpose(-1, -2)

    def istft(self, spectra: torch.Tensor) -> torch.Tensor:
        """Return the least-squares inverse of :meth:`stft`."""
        pieces = torch.fft.irfft(spectra.transpose(-1, -2), n=self.n_fft) * self.window
        weight = self.window.square().expand(pieces.shape[-2], -1)
        margin = (self.n_fft - self.hop) // 2
        audio = _overlap_add(pieces, self.hop) / _overlap_add(weight, self.hop).clamp(min=1e-8)
        return audio[..., margin:-margin] * (self.window.sum() / 2)

    def to_bands(self, powers: torch.Tensor) -> torch.Tensor:
        """Return energies of bands (…, bands, spectra) from those of bins (…, bins, spectra)."""
        return torch.einsum("nk,...kt->...nt", self.bank, powers)

    def _spread(self, powers: torch.Tensor) -> torch.Tensor:
        """Return powers in bins whose bands have the given powers, by Richardson-Lucy iterations; never negative."""
        back = self.bank.T
        result = torch.einsum("kn,...nt->...kt", back / self.bank.sum(1), powers)
        for _ in range(_SPREAD_ROUNDS):
            ratio = powers / self.to_bands(result).clamp(min=1e-12)
            result = result * torch.einsum("kn,...nt->...kt", back, ratio)
        return result

    def _coherence(self, spectra: torch.Tensor, powers: torch.Tensor) -> torch.Tensor:
        """Return (batch, 12, frames): 0 for equal channels or silence, -12 for unrelated and -24 for opposite channels."""
        across = self.to_bands((torch.view_as_real(spectra[:, 0]) * torch.view_as_real(spectra[:, 1])).sum(-1))
        three = torch.stack([across, powers[:, 0], powers[:, 1]])
        grouped = three.unflatten(2, (self.groups, -1)).sum(3)
        width = 4 * self.stack + 1
        smooth = torch.nn.functional.avg_pool1d(
            grouped.flatten(0, 2)[:, None], width, stride=1, padding=width // 2, count_include_pad=False
        ).reshape(grouped.shape)[..., :: self.stack]
        quiet = 10 ** (self.floor_db / 10) * self.bands / self.groups
        coherence = (smooth[0] + quiet) / ((smooth[1] * smooth[2]).sqrt() + quiet)
        return (coherence.clamp(-1, 1) - 1) * _COHERENCE_DB

    def _make_alike(self, powers: torch.Tensor, coherence: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Equalise powers of bands and coherences of groups where the channels hardly differ."""
        loudness = powers.sum(1) + 1e-12
        apart = 10 * torch.log10((powers[:, 0] + 1e-9) / (powers[:, 1] + 1e-9)).abs()
        grouped = loudness.unflatten(1, (self.groups, -1)).sum(2)
        whole = self._smooth(loudness.sum(1))
        decibels = self._smooth((apart * loudness).sum(1)) / whole
        together = self._smooth((coherence * grouped).sum(1)) / whole
        alike = (_ramp(decibels, *_ALIKE_DB) * _ramp(together, *_ALIKE_COHERENCE))[:, None]
        mean = powers.mean(1, keepdim=True)
        return torch.lerp(powers, mean, alike[:, None]), torch.lerp(coherence, torch.ones_like(coherence), alike)

    def _smooth(self, values: torch.Tensor) -> torch.Tensor:
        """Return averages over half a second of (batch, spectra)."""
        width = _ALIKE_SPECTRA
        return torch.nn.functional.avg_pool1d(
            values[:, None], width, stride=1, padding=width // 2, count_include_pad=False
        )[:, 0]

    def stereo_phase(self, phase: torch.Tensor, coherence: torch.Tensor) -> torch.Tensor:
        """Return phasors (batch, 2, bins, spectra) of two channels with a given coherence.

        Args:
            phase: phasors of both channels together, (batch, bins, spectra).
            coherence: (batch, groups, spectra).
        """
        per_band = coherence.repeat_interleave(self.bands // self.groups, 1)
        angle = torch.arccos(torch.einsum("nk,bnt->bkt", self.bank, per_band).clamp(-1, 1)) / 2
        middle, side = phase * angle.cos(), phase * self.apart[:, None] * angle.sin()
        both = torch.stack([middle + side, middle - side], 1)
        return both / both.abs().clamp(min=1e-8)

    def griffin_lim(
        self, magnitudes: torch.Tensor, phase: torch.Tensor, rounds: int, *, momentum: float = _MOMENTUM
    ) -> torch.Tensor:
        """Fit phasors to magnitudes (…, bins, spectra) by ``rounds`` of the fast Griffin-Lim algorithm.

        Momentum 0 gives the plain algorithm.
        """
        before = None
        for _ in range(rounds):
            consistent = self.stft(self.istft(magnitudes * phase))
            ahead = consistent if before is None else consistent + momentum * (consistent - before)
            phase = ahead / ahead.abs().clamp(min=1e-12)
            before = consistent
        return phase


def band_matrix(bands: int, bins: int) -> torch.Tensor:
    """Return each band's share of each bin's energy: (bands, bins), non-negative, with columns that sum to 1.

    Triangles around centres that are first one bin apart, then at equal ratios from the point where those are wider.
    """
    low, high = 1.0, float(bins)
    # n one-bin steps, then steps of ratio 1 + 1/n, must reach the last bin in the given number of bands: solve for n.
    for _ in range(60):
        knee = (low + high) / 2
        reached = knee + math.log((bins - 1) / knee) / math.log1p(1 / knee)
        low, high = (knee, high) if reached < bands - 1 else (low, knee)
    steps = torch.arange(bands, dtype=torch.float64)
    centres = torch.where(steps <= knee, steps, knee * torch.exp((steps - knee) * math.log1p(1 / knee)))
    centres[-1] = bins - 1
    place = torch.arange(bins, dtype=torch.float64)
    above = torch.searchsorted(centres, place, right=True).clamp(1, bands - 1)
    share = ((place - centres[above - 1]) / (centres[above] - centres[above - 1])).clamp(0, 1)
    matrix = torch.zeros(bands, bins, dtype=torch.float64)
    columns = torch.arange(bins)
    matrix[above - 1, columns] = 1 - share
    matrix[above, columns] += share
    return matrix.float()


def _ramp(values: torch.Tensor, zero: float, one: float) -> torch.Tensor:
    """Return 0 up to ``zero`` and 1 beyond ``one``, with a smooth step in between; ``one`` may be the smaller."""
    t = ((values - zero) / (one - zero)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def _quadrature(bins: int) -> torch.Tensor:
    """Return unit phasors a quarter turn ahead or behind.

    They alternate along frequency four times an octave where octaves are wide.

    In quadrature, two channels built from a middle and a side are exactly as coherent as requested in every bin, for
    any sound. The alternation is slow enough that no frequency is delayed against another by more than about 7 ms, so
    that attacks stay together.
    """
    octaves = torch.log2(1 + torch.arange(bins) / 60)
    return torch.polar(torch.ones(bins), math.pi / 2 * torch.tanh(2 * torch.sin(4 * math.pi * octaves)))


def _overlap_add(pieces: torch.Tensor, hop: int) -> torch.Tensor:
    """Add up pieces (…, count, length), each ``hop`` after the previous one: (…, (count - 1) * hop + length)."""
    parts = pieces.unflatten(-1, (-1, hop))
    count, overlap = parts.shape[-3], parts.shape[-2]
    total = pieces.new_zeros(*pieces.shape[:-2], count + overlap - 1, hop)
    for part in range(overlap):
        total[..., part : part + count, :] += parts[..., part, :]
    return total.flatten(-2)
