"""Small models built by stable-audio-tools for tests, with random weights that affect every output."""

import torch

from tertium.engine.models import stable_audio


def transformer_config(objective: str = "v", **changes) -> dict:
    """A conditioned diffusion transformer with 4 latent channels, without an autoencoder."""
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
    """A waveform autoencoder with a sampling bottleneck: 2 channels, 16 samples per latent frame, 4 latent channels."""
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
    """The ``model_config.json`` of a complete model with timing but without a prompt. Up to 2 s at 8 kHz."""
    config = transformer_config(objective)
    config["sample_size"] = 16000
    config["model"]["pretransform"] = autoencoder_config()
    number = {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 16}}
    config["model"]["conditioning"] = {"cond_dim": 32, "configs": [number]}
    config["model"]["diffusion"]["cross_attention_cond_ids"] = ["seconds_total"]
    return config


def build(config: dict, *, seed: int = 0) -> torch.nn.Module:
    """Build the model of a configuration. Weights that upstream initialises to zero are random too, so that outputs
    depend on inputs.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = stable_audio.load("stable_audio_tools.models.factory").create_model_from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.2)
    return model.requires_grad_(False)
