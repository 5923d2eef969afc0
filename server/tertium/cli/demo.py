"""``python -m tertium.cli.demo``: two recordings fused on the embedded model, once through OSC and once through ZeroMQ, with a picture."""

import argparse
import itertools
import socket
import sys
import tempfile
import time
from pathlib import Path

from pythonosc.osc_message_builder import OscMessageBuilder

from tertium.audio import files
from tertium.audio.signal import Audio
from tertium.cli import ended_like_interrupted
from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.output import KNOWN, Output, Watch
from tertium.cli.render import put
from tertium.errors import TertiumError
from tertium.plots import spectrogram
from tertium_protocol.client import Client
from tertium_protocol.codecs.osc_answers import Assembler
from tertium_protocol.messages import Done

SOUNDS = Path(__file__).parents[1] / "assets" / "demo"
ORIGINAL, REFERENCE = SOUNDS / "safari_drums.flac", SOUNDS / "haunted_hum.flac"
OSC_BLEND, ZEROMQ_BLEND = 0.5, 0.8
SEED = 1
REPEAT_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
LARGEST = 65_536


def main() -> int:
    """Make the demo in the folder that ``--out`` names; 0 when all is there."""
    parser = argparse.ArgumentParser(prog="python -m tertium.cli.demo", description=__doc__.split(":", 1)[1].strip())
    parser.add_argument("--out", metavar="DIR", default="demo", help="where to write; default demo")
    out = Path(parser.parse_args().out).absolute()
    output = Output(machine=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ended_like_interrupted(), tempfile.TemporaryDirectory(prefix="tertium-demo-") as home:
            demonstrate(out, home, output)
    except (*KNOWN, OSError) as error:
        return output.error(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def demonstrate(out: Path, home: str, output: Output) -> None:
    """Fuse twice and write sounds, sidecars and picture into ``out``; a daemon in ``home`` lives as long as that takes."""
    began = time.monotonic()
    print("Starting a daemon with the embedded model, pocket.")
    with running_or_started(Wanted(home=home), output) as client:
        print(f"Ready after {time.monotonic() - began:.0f} s. Fusing the drums with the hum:")
        with output.progress("OSC") as watch:
            over_osc = fuse_over_osc(client.daemon.osc, OSC_BLEND, watch)
        with output.progress("ZeroMQ") as watch:
            over_zeromq = fuse_over_zeromq(client, ZEROMQ_BLEND, watch)
        made = {
            f"osc_blend_{OSC_BLEND}": over_osc,
            f"zeromq_blend_{ZEROMQ_BLEND}": over_zeromq,
        }
        for name, done in made.items():
            put(Path(done.path).read_bytes(), out / f"{name}.wav", replace=True)
            put(Path(done.recall).read_bytes(), out / f"{name}.json", replace=True)
    given = {"original": files.read(ORIGINAL), "reference": files.read(REFERENCE)}
    for name, sound in given.items():
        put(files.encode(sound.samples, sound.sample_rate, format="wav"), out / f"{name}.wav", replace=True)
    _draw(out, given | {name: files.read(out / f"{name}.wav") for name in made})
    _tell(out, made, time.monotonic() - began)


def fuse_over_osc(address: tuple[str, int], blend: float, watch: Watch) -> Done:
    """A fusion as any program that speaks OSC would ask for it: one datagram there, and answers until the job is done.

    A datagram may be lost. So the request is repeated while nothing comes: the same request id is the same job.

    Args:
        address: the daemon's host and port.
        blend: 0 … 1.
        watch: called with stage, fraction and seconds left.

    Raises:
        TertiumError: the daemon refused, the job failed, or nothing was heard for a minute.
    """
    message = OscMessageBuilder("/tertium/fuse")
    for value in (
        1,
        "original",
        str(ORIGINAL),
        "reference",
        str(REFERENCE),
        "blend",
        blend,
        "seed",
        SEED,
    ):
        message.add_arg(value)
    assembler = Assembler()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(REPEAT_SECONDS)
        for _ in range(round(PATIENCE_SECONDS / REPEAT_SECONDS)):
            end.sendto(message.build().dgram, address)
            try:
                for _ in itertools.count():
                    answer = assembler.feed(end.recv(LARGEST))
                    if answer is None or answer.event == "accepted":
                        continue
                    if answer.event == "progress":
                        watch(answer.fields["stage"], answer.fields["fraction"], answer.fields.get("seconds_left"))
                    elif answer.event == "done":
                        return Done.model_validate(answer.fields)
                    else:
                        raise _refused(answer.event, answer.fields)
            except TimeoutError:
                continue
    raise TertiumError(
        "internal", f"Nothing was heard over OSC for {PATIENCE_SECONDS:g} s.", remedy="Run: tertium doctor"
    )


def _refused(event: str, fields: dict) -> TertiumError:
    return TertiumError(
        fields.get("code", "internal"), fields.get("message", f"The job was {event}."), field=fields.get("field"),
        value=fields.get("value"), remedy=fields.get("remedy"),
    )  # fmt: skip


def fuse_over_zeromq(client: Client, blend: float, watch: Watch) -> Done:
    """The same through the Python client, which speaks ZeroMQ; raises as ``Job.wait``."""
    job = client.submit(
        "fuse", original=str(ORIGINAL), reference=str(REFERENCE), blend=blend, seed=SEED,
        on_progress=lambda event: watch(event.stage, event.fraction, event.seconds_left),
    )  # fmt: skip
    return job.wait(PATIENCE_SECONDS)


def _draw(out: Path, sounds: dict[str, Audio]) -> None:
    panels = [(name.replace("_", " "), sound.samples, sound.sample_rate) for name, sound in sounds.items()]
    put(spectrogram.draw(panels), out / "spectrograms.png", replace=True)


def _tell(out: Path, made: dict[str, Done], seconds: float) -> None:
    print(f"\nIn {out}:")
    print("  original.wav            drums\n  reference.wav           a hum")
    for name, done in made.items():
        peak = "silent" if done.peak_dbtp is None else f"peak {done.peak_dbtp:.1f} dBTP"
        took = f", made in {done.elapsed:.1f} s" if done.elapsed is not None else ""
        print(
            f"  {name + '.wav':23} {done.seconds:.2f} s, {peak}, intervention {done.intervention} of {done.steps}{took}"
        )
    print("  spectrograms.png        all four side by side")
    print(f"That took {seconds:.0f} s. Listen; then try your own sounds, nearer to the one or to the other:")
    print("  tertium fuse ORIGINAL.wav REFERENCE.wav --blend 0.3 -o third.wav --plot third.png")
    print("  tertium serve        and speak to it from Live, SuperCollider or Python: see protocol/PROTOCOL.md")
    print("  tertium doctor       says what a GPU and Stable Audio Open would need")
    print("In a checkout, tertium is: PYTHONPATH=server:protocol .venv/bin/python -m tertium")


if __name__ == "__main__":
    sys.exit(main())
