"""Fields that several commands that make sounds share, with their kinds, ranges and help."""

from typing import Annotated

from tertium_protocol.messages.fields import LONGEST_PATH, LONGEST_PROMPT, Choice, Number, Text
from tertium_protocol.messages.refusals import SOUND_REFERENCE

ANCHORS = ("clean", "predicted", "forward", "stochastic")
LOOPS = ("auto", "on", "off")
LEVELS = ("line", "original", "natural")
STRENGTHS = ("even", "paper")
ALIGNS = ("off", "onsets", "pitch", "both")
DEFAULT_HOLD = 0.2
"""The default where the reference is a sound, which the model has not learned. A checkpoint or a prompt needs no hold."""

Loop = Annotated[
    str,
    Choice(
        "whether the result is a seamless loop: on, off, or auto, which loops if the original's own ends meet",
        LOOPS,
    ),
]
Level = Annotated[
    str,
    Choice(
        "loudness of the result: line, on the straight line in LUFS between its sounds; original, as loud as that; or natural, as the model made it",
        LEVELS,
    ),
]
Spread = Annotated[
    float,
    Number(
        "spread of the result's latents: 0 as the paper leaves it, which shrinks, 1 as that of the two sounds", 0, 1
    ),
]
Strength = Annotated[
    str,
    Choice(
        "how the original enters: even, alike for every number of steps and moved to its place; or paper, at a whole step and as the update formula leaves it",
        STRENGTHS,
    ),
]
Align = Annotated[
    str,
    Choice(
        "what a reference that is a sound is aligned to, where the match is sure: onsets, shifted in time to the original's; pitch, transposed to its pitch classes; or both",
        ALIGNS,
    ),
]
Negative = Annotated[
    str | None,
    Text(
        "text that guidance leads away from, wherever it acts", longest=LONGEST_PROMPT, absent="the null prompt's place"
    ),
]
CompletionPrompt = Annotated[
    str | None,
    Text("text that the steps after the intervention follow", longest=LONGEST_PROMPT, absent="the null prompt"),
]
GUIDANCE = "classifier-free guidance scale; 1 means none and is twice as fast"
Original = Annotated[str, Text("the sound to keep the shape of, " + SOUND_REFERENCE, longest=LONGEST_PATH)]
Reference = Annotated[
    str | None,
    Text(
        "the sound to fuse it with, " + SOUND_REFERENCE + ", or a checkpoint's name",
        longest=LONGEST_PATH,
        absent="the prompt alone",
    ),
]
Prompt = Annotated[str | None, Text("text that the reference answers to", longest=LONGEST_PROMPT, absent="none")]
Hold = Annotated[
    float | None,
    Number(
        "weight of the reference in the steps after the intervention",
        0,
        1,
        absent=f"{DEFAULT_HOLD} where the reference is a sound, else 0",
    ),
]
Anchor = Annotated[str, Choice("noise that the original's inversion assumes at its least noisy step", ANCHORS)]
