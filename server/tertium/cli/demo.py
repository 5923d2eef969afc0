"""``python -m tertium.cli.demo``: two recordings fused with the embedded model, once over OSC and once over ZeroMQ, with spectrograms."""

import argparse
import contextlib
import socket
import sys
import tempfile
import time
from pathlib import Path

from pythonosc.osc_message_builder import OscMessageBuilder

from tertium.audio import files
from tertium.audio.signal import Audio
from tertium.cli import signals_as_interrupt
from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.output import EXPECTED_ERRORS, Output, Watch
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
    """Write the demo to the folder given by ``--out``. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tertium.cli.demo", description=__doc__.split(":", 1)[1].strip())
    parser.add_argument("--out", metavar="DIR", default="demo", help="output folder; default demo")
    out = Path(parser.parse_args().out).absolute()
    output = Output(machine=False)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with signals_as_interrupt(), tempfile.TemporaryDirectory(prefix="tertium-demo-") as home:
            demonstrate(out, home, output)
    except (*EXPECTED_ERRORS, OSError) as error:
        return output.error(error)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


def demonstrate(out: Path, home: str, output: Output) -> None:
    """Fuse twice, with a daemon in ``home`` that is stopped afterwards, and write sounds, recipes and spectrograms to ``out``."""
    began = time.monotonic()
    print("Starting a daemon with the embedded model, pocket.")
    with running_or_started(Wanted(home=home), output) as client:
        print(f"Ready after {time.monotonic() - began:.0f} s. Fusing the drums with the hum:")
        with output.progress("OSC") as watch:
            over_osc = fuse_over_osc(client.daemon.osc, OSC_BLEND, watch)
        with output.progress("ZeroMQ") as watch:
            over_zeromq = fuse_over_zeromq(client, ZEROMQ_BLEND, watch)
        results = {
            f"osc_blend_{OSC_BLEND}": over_osc,
            f"zeromq_blend_{ZEROMQ_BLEND}": over_zeromq,
        }
        for name, done in results.items():
            put(Path(done.path).read_bytes(), out / f"{name}.wav", replace=True)
            put(Path(done.recall).read_bytes(), out / f"{name}.json", replace=True)
    sources = {"original": files.read(ORIGINAL), "reference": files.read(REFERENCE)}
    for name, sound in sources.items():
        put(files.encode(sound.samples, sound.sample_rate, format="wav"), out / f"{name}.wav", replace=True)
    _draw(out, sources | {name: files.read(out / f"{name}.wav") for name in results})
    _print_summary(out, results, time.monotonic() - began)


def fuse_over_osc(address: tuple[str, int], blend: float, watch: Watch) -> Done:
    """Fuse as any OSC client can: send one datagram and receive answers until the job is done.

    Datagrams may be lost, so the request is repeated while no answer arrives; the same request id means the same job.

    Args:
        address: the daemon's host and port.
        blend: 0 … 1.
        watch: called with stage, fraction and seconds left.

    Raises:
        TertiumError: the daemon refused, the job failed, or no answer came for a minute.
    """
    request, assembler = _fuse_request(blend), Assembler()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.settimeout(REPEAT_SECONDS)
        for _ in range(round(PATIENCE_SECONDS / REPEAT_SECONDS)):
            end.sendto(request, address)
            with contextlib.suppress(TimeoutError):
                return _wait_for_result(end, assembler, watch)
    raise TertiumError("internal", f"No answer over OSC for {PATIENCE_SECONDS:g} s.", remedy="Run: tertium doctor")


def _fuse_request(blend: float) -> bytes:
    message = OscMessageBuilder("/tertium/fuse")
    fields = {"original": str(ORIGINAL), "reference": str(REFERENCE), "blend": blend, "seed": SEED}
    message.add_arg(1)  # the request id
    for name, value in fields.items():
        message.add_arg(name)
        message.add_arg(value)
    return message.build().dgram


def _wait_for_result(end: socket.socket, assembler: Assembler, watch: Watch) -> Done:
    """Receive answers until the job ends. Raises TertiumError, or TimeoutError after silence."""
    while True:
        answer = assembler.feed(end.recv(LARGEST))
        if answer is None or answer.event == "accepted":
            continue
        if answer.event == "progress":
            watch(answer.fields["stage"], answer.fields["fraction"], answer.fields.get("seconds_left"))
        elif answer.event == "done":
            return Done.model_validate(answer.fields)
        else:
            raise _failure(answer.event, answer.fields)


def _failure(event: str, fields: dict) -> TertiumError:
    return TertiumError(
        fields.get("code", "internal"), fields.get("message", f"The job was {event}."), field=fields.get("field"),
        value=fields.get("value"), remedy=fields.get("remedy"),
    )  # fmt: skip


def fuse_over_zeromq(client: Client, blend: float, watch: Watch) -> Done:
    """Fuse with the Python client, which uses ZeroMQ. Raises what ``Job.wait`` raises."""
    job = client.submit(
        "fuse", original=str(ORIGINAL), reference=str(REFERENCE), blend=blend, seed=SEED,
        on_progress=lambda event: watch(event.stage, event.fraction, event.seconds_left),
    )  # fmt: skip
    return job.wait(PATIENCE_SECONDS)


def _draw(out: Path, sounds: dict[str, Audio]) -> None:
    panels = [(name.replace("_", " "), sound.samples, sound.sample_rate) for name, sound in sounds.items()]
    put(spectrogram.draw(panels), out / "spectrograms.png", replace=True)


def _print_summary(out: Path, results: dict[str, Done], seconds: float) -> None:
    print(f"\nIn {out}:")
    print("  original.wav            drums\n  reference.wav           a hum")
    for name, done in results.items():
        peak = "silent" if done.peak_dbtp is None else f"peak {done.peak_dbtp:.1f} dBTP"
        elapsed = f", computed in {done.elapsed:.1f} s" if done.elapsed is not None else ""
        print(
            f"  {name + '.wav':23} {done.seconds:.2f} s, {peak}, intervention {done.intervention:.4g} of {done.steps}{elapsed}"
        )
    print("  spectrograms.png        all four side by side")
    print(f"That took {seconds:.0f} s. Listen, then try your own sounds, closer to one or the other:")
    print("  tertium fuse ORIGINAL.wav REFERENCE.wav --blend 0.3 -o third.wav --plot third.png")
    print("  tertium serve        use it from Live, SuperCollider or Python: see protocol/PROTOCOL.md")
    print("  tertium doctor       shows what a GPU and Stable Audio Open need")
    print("In a checkout, instead of tertium run: PYTHONPATH=server:protocol .venv/bin/python -m tertium")


if __name__ == "__main__":
    sys.exit(main())
