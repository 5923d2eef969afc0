"""Models of stable-audio-tools' own make, small enough for a test, with random weights that reach every output."""

import torch

from tertium.engine.models import stable_audio


def transformer_config(objective: str = "v", **changes) -> dict:
    """A conditioned diffusion transformer over 4 latent channels; without an autoencoder."""
    transformer = {
        "io_channels": 4,
        "embed_dim": 64,
        "depth": 2,
        "num_heads": 2,
        "cond_token_dim": 32,
        "global_cond_dim": 32,
        "project_cond_tokens": False,
        "transformer_type": "continuous_transformer",
    }
    return {
        "model_type": "diffusion_cond",
        "sample_rate": 8000,
        "sample_size": 64,
        "audio_channels": 2,
        "model": {
            "io_channels": 4,
            "diffusion": {
                "type": "dit",
                "diffusion_objective": objective,
                "cross_attention_cond_ids": ["prompt", "seconds_total"],
                "global_cond_ids": ["seconds_total"],
                "config": transformer | changes,
            },
        },
    }


def autoencoder_config() -> dict:
    """A waveform autoencoder with a sampling bottleneck: 2 channels, 16 samples a latent frame, 4 latent channels."""
    oobleck = {"channels": 4, "c_mults": [1, 2], "strides": [4, 4], "use_snake": True}
    return {
        "type": "autoencoder",
        "iterate_batch": True,
        "config": {
            "encoder": {"type": "oobleck", "config": oobleck | {"in_channels": 2, "latent_dim": 8}},
            "decoder": {"type": "oobleck", "config": oobleck | {"out_channels": 2, "latent_dim": 4, "final_tanh": False}},
            "bottleneck": {"type": "vae"},
            "latent_dim": 4,
            "downsampling_ratio": 16,
            "io_channels": 2,
        },
    }  # fmt: skip


def model_config(objective: str = "v") -> dict:
    """A whole model with timing but no prompt: what a folder holds in ``model_config.json``. Up to 2 s at 8 kHz."""
    config = transformer_config(objective)
    config["sample_size"] = 16000
    config["model"]["pretransform"] = autoencoder_config()
    number = {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 16}}
    config["model"]["conditioning"] = {"cond_dim": 32, "configs": [number]}
    config["model"]["diffusion"]["cross_attention_cond_ids"] = ["seconds_total"]
    return config


def build(config: dict, *, seed: int = 0) -> torch.nn.Module:
    """The model of a configuration; what upstream starts at zero is random too, or outputs would not depend on their inputs."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = stable_audio.load("stable_audio_tools.models.factory").create_model_from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.2)
    return model.requires_grad_(False)
