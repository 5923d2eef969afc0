"""What the embedded model's projection lost of a spectrum, guessed back from its latents by a small convolutional network.

128 numbers hold most of what 780 say, and bands wider than a bin hold no partials. A stack of ConvNeXt blocks along time (Liu and others 2022,
"A ConvNet for the 2020s"; used to decode spectra by Siuzdak 2023, "Vocos") adds to the logarithm of every bin's magnitude what is
missing on average. It knows nothing of phase.
"""

import torch

_LOUDEST = 6.0  # nepers by which a bin may be raised or lowered, about 52 dB


class SpectrumDecoder(torch.nn.Module):
    """Corrections of the magnitudes of bins, and of the coherence of two channels, from latents.

    Corrects nothing until it is trained: its last layers are zero at first.

    Args:
        latent_channels: numbers that describe a latent frame.
        spectra: how many a latent frame stands for, both channels counted.
        bins: of each of them.
        groups: of bands that a coherence is known of.
        width: channels of the blocks.
        inner: numbers from which the correction of one spectrum is made.
        depth: how many blocks.
    """

    def __init__(
        self, *, latent_channels: int = 128, spectra: int = 4, bins: int = 1025, groups: int = 12,
        width: int = 256, inner: int = 128, depth: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.spectra = spectra
        self.enter = torch.nn.Conv1d(latent_channels, width, 3, padding=1)
        self.blocks = torch.nn.ModuleList(_Block(width) for _ in range(depth))
        self.norm = torch.nn.LayerNorm(width)
        self.inner = torch.nn.Linear(width, spectra * inner)
        self.bins = torch.nn.Linear(inner, bins)
        self.coherence = torch.nn.Linear(width, groups)
        for last in (self.bins, self.coherence):
            torch.nn.init.zeros_(last.weight)
            torch.nn.init.zeros_(last.bias)

    def forward(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nepers to add to the log magnitudes, (batch, spectra, bins, frames), and what to add to the coherences, (batch, groups, frames).

        Args:
            latents: (batch, latent channels, frames), any number of frames from 1.
        """
        x = self.enter(latents)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x.transpose(1, 2))
        inner = torch.nn.functional.gelu(self.inner(x)).unflatten(-1, (self.spectra, -1))
        nepers = (_LOUDEST * torch.tanh(self.bins(inner) / _LOUDEST)).permute(0, 2, 3, 1)
        return nepers, self.coherence(x).transpose(1, 2)


class _Block(torch.nn.Module):
    """ConvNeXt: a convolution of each channel along time, then two layers at each time, added to what came in."""

    def __init__(self, width: int):
        super().__init__()
        self.along = torch.nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = torch.nn.LayerNorm(width)
        self.wide = torch.nn.Linear(width, 3 * width)
        self.back = torch.nn.Linear(3 * width, width)
        self.scale = torch.nn.Parameter(torch.full((width,), 0.3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.along(x).transpose(1, 2))
        y = self.back(torch.nn.functional.gelu(self.wide(y))) * self.scale
        return x + y.transpose(1, 2)
