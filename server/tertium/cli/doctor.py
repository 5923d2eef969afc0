"""``tertium doctor``: checks packages, device, weights and ports, and suggests remedies.

It must work in a broken installation, so it needs only the standard library; whatever may fail to import is checked in another process.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tertium import __version__
from tertium.cli.stdio import flush, print_line
from tertium.storage import network_drives
from tertium.subprocess_env import environment

PROBE_SECONDS = 180
LEAST_FREE_GIGABYTES = 1.0
MOST_NAMED = 5  # damaged files
INSTALL = "Install it with `pip install tertium`, or run `make setup` in a checkout."
PACKAGES = (
    "torch", "torchaudio", "stable-audio-tools", "k-diffusion", "transformers", "huggingface-hub", "safetensors", "numpy", "scipy",
    "soundfile", "soxr", "pydantic", "pyzmq", "python-osc", "platformdirs", "rich", "matplotlib",
)  # fmt: skip
POCKET = Path(__file__).parents[1] / "assets" / "pocket"
OK, NOTE, FAULT = "ok", "note", "fault"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        topic: python, packages, home, daemon, ports, weights or device.
        state: "ok"; "note" for a limitation; "fault" for what keeps the daemon from working.
        text: the result in words.
        remedy: what to do, if anything.
    """

    topic: str
    state: str
    text: str
    remedy: str | None = None


def main(arguments: list[str]) -> int:
    """Print the findings. Return 1 if any of them is a fault, else 0."""
    parser = argparse.ArgumentParser(
        prog="tertium doctor",
        description="Checks packages, device, weights and ports, and suggests remedies.",
    )
    parser.add_argument("--home", metavar="DIR", help="the daemon's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    try:
        parsed = parser.parse_args(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    found = []
    for finding in examine(parsed.home):
        found.append(finding)
        if not parsed.json:
            print_line(_line(finding))
            flush()
    healthy = all(finding.state != FAULT for finding in found)
    if parsed.json:
        print_line(json.dumps({"healthy": healthy, "findings": [asdict(finding) for finding in found]}))
    return 0 if healthy else 1


def examine(home: str | None = None) -> Iterator[Finding]:
    """Run all checks, one after the other."""
    yield _python()
    yield from _packages()
    yield from _home_and_ports(home)
    yield _pocket(POCKET)
    yield from _engine(probe())


def _line(finding: Finding) -> str:
    mark = {OK: "  ok  ", NOTE: " note ", FAULT: "FAULT "}[finding.state]
    line = f"{mark} {finding.topic:9} {finding.text}"
    return f"{line}\n{'':17}→ {finding.remedy}" if finding.remedy else line


def _python() -> Finding:
    version = platform.python_version()
    text = (
        f"tertium {__version__} on Python {version}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    )
    return Finding("python", OK, text)


def _packages() -> Iterator[Finding]:
    present, missing = [], []
    for name in PACKAGES:
        try:
            present.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if present:
        yield Finding("packages", OK, ", ".join(present))
    if missing:
        yield Finding("packages", FAULT, f"not installed: {', '.join(missing)}", INSTALL)


def _home_and_ports(named: str | None) -> Iterator[Finding]:
    try:
        from tertium.daemon import config
        from tertium.storage import home as homes

        folder = Path(named).expanduser().absolute() if named else config.default_home()
        served = homes.find(folder)
    except Exception as error:  # any error is possible in a broken installation
        yield Finding("home", FAULT, f"the daemon's folder cannot be determined ({error})", INSTALL)
        return
    yield _folder(folder)
    yield from _sidecars(folder)
    if served:
        yield Finding("daemon", OK, f"runs as process {served.get('pid')} with {served.get('model')}")
    else:
        yield Finding("daemon", OK, "none runs in this folder", "Start one with: tertium serve")
    yield _osc_port(served, config.DEFAULT_OSC)


def _folder(folder: Path) -> Finding:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK | os.X_OK) or not existing.is_dir():
        return Finding(
            "home", FAULT, f"{folder} cannot be written", "Choose another folder with --home or TERTIUM_HOME."
        )
    free = shutil.disk_usage(existing).free / 1e9
    text = f"{folder}, {free:.1f} GB free"
    if kind := network_drives.kind_of(existing):
        text = f"{text}, on a network drive ({kind}), where the daemon's journal may not work"
        return Finding("home", NOTE, text, "Choose a folder on a disk of this machine with --home or TERTIUM_HOME.")
    if free < LEAST_FREE_GIGABYTES:
        return Finding("home", NOTE, text, "Free some space, or choose another folder with --home or TERTIUM_HOME.")
    return Finding("home", OK, text)


def _sidecars(folder: Path) -> Iterator[Finding]:
    """Report sidecars that cannot be read: their sounds are not found."""
    try:
        from tertium.storage.sidecars import damaged

        names = list(damaged(folder))
    except Exception:  # a package is missing, which is reported elsewhere; or the folder cannot be read
        return
    if names:
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        verb = "file that describes a sound is" if len(names) == 1 else "files that describe sounds are"
        text = f"{len(names)} {verb} damaged: {', '.join(names[:MOST_NAMED])}{more}"
        remedy = "Restore them from a backup. Without one, add their sounds again: the audio files beside them are still there."
        yield Finding("home", NOTE, text, remedy)


def _osc_port(served: dict | None, usual: str) -> Finding:
    if served and served.get("osc"):
        host, port = served["osc"]
        return Finding(
            "ports", OK, f"the daemon listens for OSC on {host}:{port} and for ZeroMQ on {served.get('zmq')}"
        )
    host, _, port = usual.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        try:
            end.bind((host, int(port)))
        except OSError as error:
            remedy = "Stop the program that uses it, or start the daemon with --osc 127.0.0.1:PORT and set that port in Live and SuperCollider."
            return Finding("ports", NOTE, f"the default OSC port, {usual}, is not free ({error.strerror})", remedy)
    return Finding("ports", OK, f"the default OSC port, {usual}, is free")


def _pocket(folder: Path) -> Finding:
    remedy = "Reinstall tertium; in a checkout, restore the repository's files."
    try:
        json.loads((folder / "model_config.json").read_text(encoding="utf-8"))
        size = _safetensors_size(folder / "model.safetensors")
    except FileNotFoundError as error:
        return Finding("weights", FAULT, f"pocket: {error.filename} is missing", remedy)
    except (OSError, ValueError) as error:
        return Finding("weights", FAULT, f"pocket: {error}", remedy)
    return Finding("weights", OK, f"pocket: {size / 1e6:.1f} MB, complete")


def _safetensors_size(path: Path) -> int:
    """Return the size of a safetensors file in bytes. Raises ValueError if it is shorter or longer than its header says."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        if 8 + length > size:
            raise ValueError(f"{path} is truncated")
        tensors = json.loads(file.read(length))
    end = max((entry["data_offsets"][1] for name, entry in tensors.items() if name != "__metadata__"), default=0)
    if 8 + length + end != size:
        raise ValueError(f"{path} is {'truncated' if 8 + length + end > size else 'longer than its header says'}")
    return size


def probe(python: str = sys.executable) -> dict:
    """Return the findings of ``tertium.cli.doctor_probe``, run in another process; ``{"broken": reason}`` if it fails."""
    try:
        run = subprocess.run(
            [python, "-m", "tertium.cli.doctor_probe"], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False,
            env=environment(), stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return json.loads(run.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"broken": f"importing PyTorch took more than {PROBE_SECONDS} s"}
    except (ValueError, IndexError):
        lines = run.stderr.strip().splitlines() or [f"the check ended with status {run.returncode}"]
        return {"broken": lines[-1]}


def _engine(facts: dict) -> Iterator[Finding]:
    if "broken" in facts:
        yield Finding("device", FAULT, f"PyTorch cannot be used: {facts['broken']}", INSTALL)
        return
    yield _device(facts["device"])
    if facts["upstream"]:
        yield Finding("packages", FAULT, f"stable-audio-tools cannot be used: {facts['upstream']}", INSTALL)
    else:
        yield from _trial(facts["trial"])
    yield from _hub(facts["hub"])


def _device(device: dict) -> Finding:
    if device["kind"] == "cpu" and (shutil.which("nvidia-smi") or os.path.exists("/dev/nvidiactl")):
        remedy = "Install a CUDA build of PyTorch: see its installation page."
        return Finding("device", NOTE, f"cpu, although there is an NVIDIA GPU ({device['detail']})", remedy)
    if device["kind"] == "cpu":
        text = f"cpu ({device['detail']}): for a sound of 6 s, pocket takes a second or two, Stable Audio Open minutes"
        return Finding("device", OK, text)
    return Finding("device", OK, f"{device['kind']}: {device['detail']}")


def _trial(trial: dict) -> Iterator[Finding]:
    """Report the trial of the embedded model on the device."""
    if "broken" in trial:
        remedy = "Start with --device cpu, or update PyTorch and the device's driver."
        yield Finding("device", FAULT, f"pocket does not run: {trial['broken']}", remedy)
        return
    for note in trial["notes"]:
        yield Finding("device", NOTE, note, "Update PyTorch and the device's driver.")
    if not trial["notes"]:
        yield Finding("device", OK, f"pocket runs on {trial['device']} in {trial['precision']}")


def _hub(hub: dict) -> Iterator[Finding]:
    if "broken" in hub:
        yield Finding("weights", NOTE, f"the model hub's cache cannot be read: {hub['broken']}", INSTALL)
        return
    for name, there in hub["models"].items():
        if there:
            yield Finding("weights", OK, f"{name}: in {hub['cache']}")
        elif hub["token"]:
            yield Finding(
                "weights",
                NOTE,
                f"{name}: not downloaded; you are logged in",
                f"Download it with: tertium serve --model {name}",
            )
        else:
            remedy = f"Accept its licence on the model hub, log in with `{hub['commands']['login']}` or set HF_TOKEN; or use pocket."
            yield Finding("weights", NOTE, f"{name}: not downloaded, and there is no token", remedy)
    if any(hub["models"].values()) and not hub["encoder"]["there"]:
        text = (
            f"{hub['encoder']['name']}, their text encoder: not completely downloaded, and they do not load without it"
        )
        remedy = f"Download it, while a network is available, with `{hub['commands']['encoder']}`."
        yield Finding("weights", NOTE, text, remedy)
