"""A loaded model: from a name or a folder to encode, condition, predict and decode."""

import functools
import hashlib

import torch

from tertium.engine.models import build, stable_audio, weights
from tertium.engine.models.device import choose_device, choose_dtype, place, text_encoders
from tertium.engine.models.errors import package_missing
from tertium.engine.sampling import conditioning
from tertium.engine.sampling.conditioning import Conditioning
from tertium.engine.sampling.schedule import Schedule, edm, rectified_flow

NAMES = weights.NAMES
MIN_SECONDS = 0.5

_GUIDANCE = {"v": 6.0, "rectified_flow": 6.0, "rf_denoiser": 1.0}  # the last has its guidance distilled in


class LoadedModel:
    """A model on its device, in its precision.

    Attributes:
        name: as requested, or the folder's name.
        model: stable-audio-tools' conditioned diffusion model.
        sample_rate: in Hz.
        channels: of the audio.
        latent_channels: of the latents.
        downsampling: samples in one latent frame.
        max_seconds: the longest sound that the model supports.
        objective: see :data:`tertium.engine.sampling.denoiser.OBJECTIVES`.
        device, dtype: of the diffusion network.
        checkpoint: identity of the fine-tuning, None for the base model; separates their entries in caches.
        trained_seconds: length of the training material; None for the base model.
        default_guidance: the default for generating from a prompt: ``tertium.guidance`` in the configuration, which
            stable-audio-tools ignores, else the default of the objective.
    """

    checkpoint: str | None = None
    trained_seconds: float | None = None

    def __init__(self, model: torch.nn.Module, config: dict, files: weights.ModelFiles):
        self.model, self._files = model, files
        self.name = files.name
        self.sample_rate: int = config["sample_rate"]
        self.max_seconds: float = config["sample_size"] / self.sample_rate
        self.channels: int = model.pretransform.io_channels
        self.latent_channels: int = model.io_channels
        self.downsampling: int = model.pretransform.downsampling_ratio
        self.objective: str = model.diffusion_objective
        weight = next(model.model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        self.default_guidance: float = config.get("tertium", {}).get("guidance", _GUIDANCE[self.objective])

    @property
    def parameters(self) -> int:
        """Number of parameters, excluding the text encoder."""
        return sum(tensor.numel() for tensor in self.model.state_dict().values())

    @property
    def memory_bytes(self) -> int:
        """Memory of the weights on the device, including the text encoder; activations come on top."""
        modules = [self.model, *text_encoders(self.model)]
        tensors = {t.data_ptr(): t for m in modules for t in (*m.parameters(), *m.buffers())}
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights file, in hexadecimal. Computed on first access."""
        digest = hashlib.sha256()
        with self._files.weights.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def frames(self, samples: int) -> int:
        """Return the number of latent frames for ``samples`` samples, rounded up to what the network accepts."""
        unit = self.model.min_input_length
        return -(-samples // unit) * unit // self.downsampling

    @torch.no_grad()
    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """Return the latents of audio (channels, samples) at the model's sample rate.

        They are (1, latent channels, frames), float32 on the device.

        The end is padded with silence to whole latent frames. Where the autoencoder would draw from a distribution, its
        mean is used, so the same audio always gives the same latents.

        Raises:
            ValueError: no samples, or a number of channels that differs from the model's.
        """
        if audio.ndim != 2 or audio.shape[0] != self.channels or not audio.shape[1]:
            raise ValueError(f"audio must be ({self.channels}, samples); got {tuple(audio.shape)}")
        samples = audio.shape[1]
        padded = torch.nn.functional.pad(audio, (0, self.frames(samples) * self.downsampling - samples))
        padded = padded[None].to(self.device, torch.float32)
        pretransform = self.model.pretransform
        autoencoder = getattr(pretransform, "model", None)
        if type(getattr(autoencoder, "bottleneck", None)).__name__ == "VAEBottleneck":
            mean, _ = autoencoder.encode(padded, skip_bottleneck=True).chunk(2, dim=1)
            return mean / pretransform.scale
        return pretransform.encode(padded)

    @torch.no_grad()
    def decode(self, latents: torch.Tensor, *, samples: int) -> torch.Tensor:
        """Return the audio (batch, channels, samples), float32 on the CPU, of latents (batch, latent channels, frames).

        Args:
            samples: number of samples to return, from the start.

        Raises:
            ValueError: the latents hold fewer samples.
        """
        if latents.shape[-1] * self.downsampling < samples:
            raise ValueError(f"{latents.shape[-1]} latent frames are fewer than {samples} samples need")
        audio = self.model.pretransform.decode(latents.to(self.device, torch.float32))
        return audio[..., :samples].float().cpu()

    def schedule(self, steps: int) -> Schedule:
        """Return the schedule for the model's objective, of N = ``steps`` steps."""
        return edm(steps) if self.objective == "v" else rectified_flow(steps)

    def condition(self, prompt: str, *, seconds: float) -> Conditioning:
        """Return the conditioning of a prompt and a sound of ``seconds``."""
        return conditioning.condition(self.model, prompt, seconds=seconds, device=self.device)

    def null_condition(self, *, seconds: float, null: conditioning.Null = "unconditional") -> Conditioning:
        """Return the conditioning of the null prompt, which guidance subtracts, for a sound of ``seconds``."""
        empty = self.condition("", seconds=seconds)
        return empty.as_null() if null == "empty" else empty.null()


def load_model(name_or_folder: str, *, device: str = "auto", precision: str = "auto") -> LoadedModel:
    """Load a model from this machine or from the model hub.

    Args:
        name_or_folder: one of :data:`NAMES`, or a folder with ``model_config.json`` (stable-audio-tools' format) and
            ``model.safetensors``, ``model.ckpt`` or ``model.pt``.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        precision: ``auto``, ``fp32``, ``fp16``, ``bf16``.

    Raises:
        ModelError: a subclass by reason, with its remedy.
    """
    return _load(weights.locate(str(name_or_folder)), device, precision)


def _load(files: weights.ModelFiles, device: str, dtype: str) -> LoadedModel:
    where = choose_device(device)
    what = choose_dtype(where, dtype)
    try:
        stable_audio.load("stable_audio_tools.models.factory")
    except stable_audio.MissingPackage as error:
        raise package_missing(error, files.name) from error
    config = weights.read_config(files.config)
    model = build.build(config, files)
    place(model, where, what)
    pretransform = model.pretransform
    # Upstream's options to save memory: its half precision is audible, and chunks fail for sounds shorter than one.
    for option in ("model_half", "chunked"):
        if hasattr(pretransform, option):
            setattr(pretransform, option, False)
    return LoadedModel(model, config, files)
