"""What a client may ask about learned references: to learn one, to hear it on the way, and what can be done with those that are there."""

from __future__ import annotations

from typing import Annotated

from tertium_protocol.messages.fields import INT32, LONGEST_PATH, LONGEST_PROMPT, Choice, Integer, Number, Text
from tertium_protocol.messages.refusals import SOUND_REFERENCE
from tertium_protocol.messages.requests import FORMATS, Request

METHODS = ("lora", "full")


class Learn(Request):
    """Not of the commands that make a sound by sampling, though one comes out: what the prompt then gives."""

    reference: Annotated[str, Text("the sound to learn, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
    prompt: Annotated[str, Text("text that the reference shall answer to", longest=LONGEST_PROMPT)]
    name: Annotated[
        str | None,
        Text(
            "name of the checkpoint; one that is taken is refused",
            longest=100,
            file_stem=True,
            absent="the reference's",
        ),
    ] = None
    method: Annotated[str, Choice("lora is small and quick to switch to, full is the whole transformer", METHODS)] = (
        "lora"
    )
    steps: Annotated[int, Integer("steps of the optimiser", 1, 100000)] = 150
    batch: Annotated[int, Integer("rows a step", 1, 64)] = 4
    seconds: Annotated[
        float | None,
        Number(
            "length learned at a time: pieces of a longer reference, a shorter one repeated", 0.5, 47.5, "s",
            absent="the reference's, at most the model's longest",
        ),
    ] = None  # fmt: skip
    rank: Annotated[int, Integer("rank of the LoRA", 1, 256)] = 16
    rate: Annotated[float | None, Number("highest learning rate", 1e-7, 0.1, absent="the method's own")] = None
    null_dropout: Annotated[
        float, Number("share of rows learned under the null prompt, which draws the completion to the reference", 0, 1)
    ] = 0.3
    ema: Annotated[
        float, Number("decay of a running average of the weights, which is then what is kept; 0 is none", 0, 0.9999)
    ] = 0.0
    seed: Annotated[
        int | None,
        Integer("the same seed learns the same on the same machine", 0, INT32[1], absent="chosen and reported"),
    ] = None
    format: Annotated[str, Choice("file format of the sound that the prompt then gives", FORMATS)] = "wav"


class Preview(Request):
    """From noise and without guidance, as the sound at the end of the learning is made."""

    job: Annotated[str, Text("the id of a learning that has begun and not ended", longest=64)]
    steps: Annotated[int, Integer("sampling steps", 1, 500)] = 20
    seed: Annotated[
        int | None,
        Integer("the same seed starts from the same noise", 0, INT32[1], absent="the learning's own"),
    ] = None
    format: Annotated[str, Choice("file format of the sound", FORMATS)] = "wav"
    name: Annotated[
        str | None,
        Text(
            "file name of the sound, without extension",
            longest=100,
            file_stem=True,
            absent="made from the checkpoint's",
        ),
    ] = None


class Checkpoints(Request):
    pass


class RenameCheckpoint(Request):
    checkpoint: Annotated[str, Text("its name now", longest=100)]
    name: Annotated[str, Text("its new name; one that is taken is refused", longest=100, file_stem=True)]


class DeleteCheckpoint(Request):
    checkpoint: Annotated[str, Text("its name", longest=100)]


class ExportCheckpoint(Request):
    checkpoint: Annotated[str, Text("its name", longest=100)]
    path: Annotated[
        str, Text("absolute path of the file to write, ending in .safetensors; it must not exist", longest=LONGEST_PATH)
    ]


class ImportCheckpoint(Request):
    path: Annotated[str, Text("absolute path of an exported checkpoint", longest=LONGEST_PATH)]
    name: Annotated[
        str | None,
        Text("what to call it; a taken name gets a number", longest=100, file_stem=True, absent="the name it had"),
    ] = None
