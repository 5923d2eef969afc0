"""The embedded model's configuration, in stable-audio-tools' format, and its tokenizer."""

import copy
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from tertium.engine.models import stable_audio

VOCABULARY = 768
TOKENS = 24

CONFIG = {
    "model_type": "diffusion_cond",
    "sample_size": 2046 * 1024,
    "sample_rate": 44100,
    "audio_channels": 2,
    "tertium": {"guidance": 1.0},  # more guidance removes movement over time: a beat becomes a hum
    "model": {
        "pretransform": {
            "type": "tertium_spectral_codec",
            "config": {"sample_rate": 44100, "latent_channels": 160, "bands": 288},
        },
        "conditioning": {
            "cond_dim": 256,
            "configs": [
                {"id": "prompt", "type": "lut", "config": {"tokenizer_name": "tokenizer", "max_length": TOKENS}},
                {"id": "seconds_total", "type": "number", "config": {"min_val": 0, "max_val": 64}},
            ],
        },
        "diffusion": {
            "type": "dit",
            "diffusion_objective": "v",
            "cross_attention_cond_ids": ["prompt", "seconds_total"],
            "global_cond_ids": ["seconds_total"],
            "config": {
                "io_channels": 160,
                "embed_dim": 256,
                "depth": 8,
                "num_heads": 4,
                "cond_token_dim": 256,
                "global_cond_dim": 256,
                "project_cond_tokens": False,
                "global_cond_type": "adaLN",
                "transformer_type": "continuous_transformer",
                "use_sinusoidal_emb": True,
            },
        },
        "io_channels": 160,
    },
}
"""``tokenizer_name`` is relative to the model's folder; the pretransform is the codec that tertium attaches."""


def train_tokenizer(captions: list[str], folder: Path) -> None:
    """Train a byte-pair tokenizer on the captions, lower-cased, and save it for ``AutoTokenizer``. It can tokenize any text."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", model_max_length=TOKENS).save_pretrained(
        folder
    )


def build(folder: Path):
    """Build the untrained model without its codec, with stable-audio-tools; ``folder`` holds ``tokenizer/``."""
    config = copy.deepcopy(CONFIG)
    del config["model"]["pretransform"]
    config["model"]["conditioning"]["configs"][0]["config"]["tokenizer_name"] = str(folder / "tokenizer")
    model = stable_audio.load("stable_audio_tools.models.factory").create_model_from_config(config)
    # At high noise the input carries no information, so a rhythm can only be reproduced from absolute positions, and rotary embeddings
    # encode distances only. Random crops make little use of positions, so training would shrink their scale (from 1 to 0.013 in 5,000
    # steps); fine-tuning on one reference needs them.
    scale = positions(model).scale
    torch.nn.init.ones_(scale)
    scale.requires_grad_(False)
    return model


def positions(model) -> torch.nn.Module:
    """Return the sinusoidal position embedding of a model from :func:`build`."""
    return model.model.model.transformer.pos_emb
