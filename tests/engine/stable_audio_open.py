"""Stable Audio Open 1.0's published configuration, and a small text encoder under the name that it requests."""

from pathlib import Path

import tokenizers

from tertium.engine.models import stable_audio

OOBLECK = {"channels": 128, "c_mults": [1, 2, 4, 8, 16], "strides": [2, 4, 4, 8, 8], "use_snake": True}
SECONDS = {"type": "number", "config": {"min_val": 0, "max_val": 512}}


def configuration(*, depth: int = 24) -> dict:
    """Return ``model_config.json`` as published, except for the transformer's depth and fields that only training
    reads.
    """
    return {
        "model_type": "diffusion_cond",
        "sample_size": 2097152,
        "sample_rate": 44100,
        "audio_channels": 2,
        "model": {
            "io_channels": 64,
            "pretransform": {
                "type": "autoencoder",
                "iterate_batch": True,
                "config": {
                    "encoder": {"type": "oobleck", "config": OOBLECK | {"in_channels": 2, "latent_dim": 128}},
                    "decoder": {
                        "type": "oobleck",
                        "config": OOBLECK | {"out_channels": 2, "latent_dim": 64, "final_tanh": False},
                    },
                    "bottleneck": {"type": "vae"},
                    "latent_dim": 64,
                    "downsampling_ratio": 2048,
                    "io_channels": 2,
                },
            },
            "conditioning": {
                "cond_dim": 768,
                "configs": [
                    {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 128}},
                    SECONDS | {"id": "seconds_start"},
                    SECONDS | {"id": "seconds_total"},
                ],
            },
            "diffusion": {
                "type": "dit",
                "cross_attention_cond_ids": ["prompt", "seconds_start", "seconds_total"],
                "global_cond_ids": ["seconds_start", "seconds_total"],
                "config": {
                    "io_channels": 64,
                    "embed_dim": 1536,
                    "depth": depth,
                    "num_heads": 24,
                    "cond_token_dim": 768,
                    "global_cond_dim": 1536,
                    "project_cond_tokens": False,
                    "transformer_type": "continuous_transformer",
                },
            },
        },
    }


def small_configuration(*, depth: int = 16) -> dict:
    """Return the configuration of Small.

    It is narrower, conditioned only on its total length, with normalised attention, distilled, and requests its
    autoencoder in half precision.
    """
    config = configuration()
    config["sample_size"] = 524288
    model = config["model"]
    model["pretransform"] |= {"model_half": True}
    seconds = {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 256}}
    text = {"id": "prompt", "type": "t5", "config": {"t5_model_name": "t5-base", "max_length": 64}}
    model["conditioning"]["configs"] = [text, seconds]
    diffusion = model["diffusion"]
    diffusion |= {"diffusion_objective": "rf_denoiser", "cross_attention_cond_ids": ["prompt", "seconds_total"]}
    diffusion |= {"global_cond_ids": ["seconds_total"]}
    diffusion["config"] |= {"embed_dim": 1024, "depth": depth, "num_heads": 8, "global_cond_dim": 768}
    diffusion["config"] |= {"project_cond_tokens": True, "attn_kwargs": {"qk_norm": "ln"}}
    return config


def put_text_encoder(cache: Path, name: str = "t5-base") -> None:
    """Write a T5 of one narrow layer with random weights and a tokenizer of a few words, in the cache format of the
    hub's client.
    """
    transformers = stable_audio.load("transformers")
    repository, commit = cache / f"models--{name}", "0" * 40
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit, encoding="utf-8")
    words = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", "drum", "loop", "hum"])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(snapshot)
    shape = {"d_model": 768, "d_kv": 8, "d_ff": 16, "num_heads": 2, "num_layers": 1, "vocab_size": len(words)}
    transformers.T5EncoderModel(transformers.T5Config(**shape)).save_pretrained(snapshot)
