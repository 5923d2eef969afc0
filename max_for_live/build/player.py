"""The audio path: the track passes through untouched; what is auditioned is added to it.

Up to eight takes, all as long as the original, play in a loop and in step: one ``phasor~`` is the place for all of them. Each has a gain, ramped
in 20 ms; the gains, the script sees to it, never sum to more than 1. ``clip~`` is the last guard: whatever
happens, no more than full scale is added.
"""

RAMP = "$1 20"


def player(patcher, takes):
    patcher.section("Audio: what passes through, and what is added")
    patcher.add("track in", "plugin~")
    patcher.add("track out", "plugout~")
    patcher.row()
    patcher.add("said to audio", "route load takes gain play slot_wave")
    patcher.wire("script", 3, "said to audio")
    for side in (0, 1):
        patcher.wire("track in", side, "track out", side)
    _waves(patcher)
    _place(patcher)
    _gate(patcher)
    patcher.section("The takes, all in step")
    patcher.add("load which", "route " + " ".join(map(str, range(1, takes + 1))))
    patcher.add("gain of which", "route " + " ".join(map(str, range(1, takes + 1))))
    patcher.wire("said to audio", 0, "load which")
    patcher.wire("said to audio", 2, "gain of which")
    for number in range(1, takes + 1):
        _take(patcher, number)


def _waves(patcher):
    patcher.section("The sounds in the slots, to be seen")
    patcher.add("wave of which", "route original reference")
    patcher.wire("said to audio", 4, "wave of which")
    for number, name in enumerate(("original", "reference")):
        patcher.row()
        patcher.add(f"{name} replace", "prepend replace")
        patcher.add(f"{name} sound", f"buffer~ ---{name} 1000 2")
        patcher.add(f"{name} wave is", "message", text=f"set ---{name}")
        patcher.wire("wave of which", number, f"{name} replace")
        patcher.wire(f"{name} replace", 0, f"{name} sound")
        patcher.wire("there", 1, f"{name} wave is")
        patcher.wire(f"{name} wave is", 0, f"{name} wave")


def _place(patcher):
    patcher.section("One place in time for all takes")
    patcher.add("how many, how long", "unpack i f")
    patcher.row()
    patcher.add("no shorter", "clip 1. 3600000.")
    patcher.row()
    patcher.add("times a second", "expr 1000. / $f1")
    patcher.row()
    patcher.add("loop", "phasor~")
    patcher.row()
    patcher.add("milliseconds", "*~ 1000.")
    patcher.wire("said to audio", 1, "how many, how long")
    patcher.wire("how many, how long", 1, "no shorter")
    patcher.wire("no shorter", 0, "times a second")
    patcher.chain("times a second", "loop", "milliseconds")
    patcher.wire("no shorter", 0, "milliseconds", 1)


def _gate(patcher):
    patcher.section("Heard or not")
    patcher.add("play", "t i i")
    patcher.add("from the start", "sel 1")
    patcher.add("start", "message", text="0.")
    patcher.row()
    patcher.add("play ramp", "message", text=RAMP)
    patcher.add("heard", "line~ 0.")
    patcher.row()
    for side, name in enumerate(("left", "right")):
        patcher.add(f"{name} heard", "*~ 0.")
        patcher.add(f"{name} guard", "clip~ -1. 1.")
        patcher.wire("heard", 0, f"{name} heard", 1)
        patcher.wire(f"{name} heard", 0, f"{name} guard")
        patcher.wire(f"{name} guard", 0, "track out", side)
    patcher.wire("said to audio", 3, "play")
    patcher.wire("play", 1, "from the start")
    patcher.wire("from the start", 0, "start")
    patcher.wire("start", 0, "loop", 1)
    patcher.wire("play", 0, "play ramp")
    patcher.wire("play ramp", 0, "heard")


def _take(patcher, number):
    take = f"take {number}"
    patcher.row()
    patcher.add(f"{take} replace", "prepend replace")
    patcher.add(f"{take} sound", f"buffer~ ---take{number} 1000 2")
    patcher.add(f"{take} ramp", "message", text=RAMP)
    patcher.add(f"{take} gain", "line~ 0.")
    patcher.add(f"{take} play", f"play~ ---take{number} 2")
    patcher.wire("load which", number - 1, f"{take} replace")
    patcher.wire(f"{take} replace", 0, f"{take} sound")
    patcher.wire("gain of which", number - 1, f"{take} ramp")
    patcher.wire(f"{take} ramp", 0, f"{take} gain")
    patcher.wire("milliseconds", 0, f"{take} play")
    for side, name in enumerate(("left", "right")):
        patcher.add(f"{take} {name}", "*~ 0.")
        patcher.wire(f"{take} play", side, f"{take} {name}")
        patcher.wire(f"{take} gain", 0, f"{take} {name}", 1)
        patcher.wire(f"{take} {name}", 0, f"{name} heard")
