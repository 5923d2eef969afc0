"""The requests about training: start and preview a training job, and manage checkpoints."""

from __future__ import annotations

from typing import Annotated

from tertium_protocol.messages.fields import INT32, LONGEST_PATH, LONGEST_PROMPT, Choice, Integer, Number, Text
from tertium_protocol.messages.refusals import SOUND_REFERENCE
from tertium_protocol.messages.requests import FORMATS, Request

METHODS = ("lora", "full")


class Learn(Request):
    """A training job. Its result also has a sound, the one that the prompt gives afterwards, but it lacks the fields of :class:`Making`."""

    reference: Annotated[str, Text("the sound to learn, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    prompt: Annotated[str, Text("text that the reference shall answer to", longest=LONGEST_PROMPT)]
    name: Annotated[
        str | None,
        Text(
            "name of the checkpoint; must not be in use",
            longest=100,
            file_stem=True,
            absent="the reference's name",
        ),
    ] = None
    method: Annotated[
        str, Choice("lora trains a small adapter, quick to switch to; full trains the whole transformer", METHODS)
    ] = "lora"
    steps: Annotated[int, Integer("number of training steps", 1, 100000)] = 150
    batch: Annotated[int, Integer("batch size", 1, 64)] = 4
    seconds: Annotated[
        float | None,
        Number(
            "length of the trained pieces: a longer reference is cut into pieces, a shorter one repeated", 0.5, 47.5, "s",
            absent="the reference's, at most the model's longest",
        ),
    ] = None  # fmt: skip
    rank: Annotated[int, Integer("rank of the LoRA", 1, 256)] = 16
    rate: Annotated[float | None, Number("highest learning rate", 1e-7, 0.1, absent="depends on method")] = None
    null_dropout: Annotated[
        float,
        Number(
            "share of the batch trained under the null prompt, which draws the completion towards the reference", 0, 1
        ),
    ] = 0.3
    ema: Annotated[
        float,
        Number(
            "decay of a running average of the weights, which is then saved instead of them; 0 means none", 0, 0.9999
        ),
    ] = 0.0
    seed: Annotated[
        int | None,
        Integer(
            "random seed; the same seed trains the same weights on the same machine",
            0,
            INT32[1],
            absent="chosen and reported",
        ),
    ] = None
    format: Annotated[str, Choice("file format of the sound that the prompt gives afterwards", FORMATS)] = "wav"


class Preview(Request):
    """Rendered from noise without guidance, like the sound at the end of the training job."""

    job: Annotated[str, Text("the id of a learning that has begun and not ended", longest=64)]
    steps: Annotated[int, Integer("sampling steps", 1, 500)] = 20
    seed: Annotated[
        int | None,
        Integer(
            "random seed; the same seed starts from the same noise", 0, INT32[1], absent="that of the training job"
        ),
    ] = None
    format: Annotated[str, Choice("file format of the sound", FORMATS)] = "wav"
    name: Annotated[
        str | None,
        Text(
            "file name of the sound, without extension",
            longest=100,
            file_stem=True,
            absent="derived from the checkpoint's name",
        ),
    ] = None


class Checkpoints(Request):
    pass


class RenameCheckpoint(Request):
    checkpoint: Annotated[str, Text("its name now", longest=100)]
    name: Annotated[str, Text("its new name; must not be in use", longest=100, file_stem=True)]


class DeleteCheckpoint(Request):
    checkpoint: Annotated[str, Text("the checkpoint's name", longest=100)]


class ExportCheckpoint(Request):
    checkpoint: Annotated[str, Text("the checkpoint's name", longest=100)]
    path: Annotated[
        str, Text("absolute path of the file to write; it must end in .safetensors and not exist", longest=LONGEST_PATH)
    ]


class ImportCheckpoint(Request):
    path: Annotated[str, Text("absolute path of an exported checkpoint", longest=LONGEST_PATH)]
    name: Annotated[
        str | None,
        Text(
            "name of the checkpoint; a number is added if it is in use",
            longest=100,
            file_stem=True,
            absent="its former name",
        ),
    ] = None
