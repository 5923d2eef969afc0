"""Compare the time that SuperCollider waits for a fusion with the time that the daemon reports for it.

    python -m benchmarks.supercollider [--seconds 6] [--steps 50] [--rounds 5] [--model pocket] [--json]

A real sclang requests fusions of two sounds, one after the other; a real scsynth on jackd's dummy driver plays each. Timed in sclang: from the call of ``fuse`` to ``accepted``, to the
action, and to the Synth's start as the server reports it. The daemon's own time is ``elapsed`` of the same job. The result is the median over the rounds of the ratio of the time to the Synth's
start to ``elapsed``, after one warm-up round.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.fuse import clip
from tertium.cli.demo import ORIGINAL, REFERENCE
from tests.end_to_end.daemons import running
from tests.supercollider import jack, sclang

SCENE = """
    t = Tertium(home: "{home}");
    s = Server.remote(\\live, NetAddr("127.0.0.1", {port}));
    Server.default = s;
    ~scene.({{
        while {{ s.serverRunning.not }} {{ 0.05.wait }};
        {rounds}.do {{ |seed|
            var began = Main.elapsedTime, accepted, done, started = CondVar.new, sounds = false, synth, request;
            request = t.fuse("{original}", "{reference}", blend: 0.5, steps: {steps}, seed: seed, timeout: 60, action: {{ |sound|
                done = Main.elapsedTime;
                synth = sound.play;
                OSCFunc({{
                    ~tell.(\\round, (accepted: accepted - began, done: done - began, sound: Main.elapsedTime - began, elapsed: request.fields[\\elapsed]));
                    sounds = true;
                    started.signalAll
                }}, '/n_go', s.addr, argTemplate: [synth.nodeID]).oneShot
            }});
            request.whenAccepted {{ accepted = Main.elapsedTime }};
            started.wait {{ sounds }};
            synth.free;
            request.sound.free
        }}
    }});
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lacking = jack.missing("sclang", "scsynth", "jackd")
    if lacking:
        print(
            f"{' and '.join(lacking)} not installed (Debian: apt install supercollider-language supercollider-server jackd2)",
            file=sys.stderr,
        )
        return 1
    with tempfile.TemporaryDirectory(prefix="tertium-bench-") as folder:
        result = measure(arguments, Path(folder))
    print(json.dumps(result) if arguments.json else describe(result))
    return 0


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    """Return the medians of the times in seconds, and of the ratio of ``sound``, the time to the Synth's start, to ``elapsed``."""
    original, reference = (clip(path, arguments.seconds, folder) for path in (ORIGINAL, REFERENCE))
    with (
        running(folder / "home", engine="tertium.worker.torch_engine", model=arguments.model) as daemon,
        jack.playing(folder) as server,
    ):
        scene = SCENE.format(
            home=daemon.home,
            port=server.port,
            original=original,
            reference=reference,
            rounds=arguments.rounds + 1,
            steps=arguments.steps,
        )
        run = sclang.run(scene, folder / "sclang", limit=60 + 60 * arguments.rounds).check()
    rounds = run.values("round")[1:]
    medians = {
        f"{name}_s": statistics.median(each[name] for each in rounds)
        for name in ("accepted", "done", "sound", "elapsed")
    }
    ratio = statistics.median(each["sound"] / each["elapsed"] for each in rounds)
    asked = {name: getattr(arguments, name) for name in ("model", "seconds", "steps", "rounds")}
    return {**asked, **medians, "ratio": ratio}


def describe(result: dict) -> str:
    return (
        f"{result['model']}, {result['seconds']:g} s of sound, {result['steps']} steps, median of {result['rounds']}\n"
        f"  fuse to accepted                    {result['accepted_s']:6.3f} s\n"
        f"  fuse to the action                  {result['done_s']:6.3f} s\n"
        f"  fuse to the Synth's start           {result['sound_s']:6.3f} s\n"
        f"  the daemon's own time (elapsed)     {result['elapsed_s']:6.3f} s\n"
        f"  ratio                               {result['ratio']:6.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
