"""Third-party clients: Pd and liblo's oscsend request a fusion."""

import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile

PATCH = Path(__file__).parents[1] / "clients/fuse.pd"


@pytest.mark.skipif(not shutil.which("pd"), reason="Pd is not installed (Debian: apt install puredata-core)")
def test_pd_fuses(daemon, clips):
    original, reference = clips
    run = subprocess.run(
        ["pd", "-nogui", "-noaudio", "-nomidi", "-stderr", "-nrt",
         "-send", f"port {daemon.osc[1]}", "-send", f"fuse list {original} {reference}", str(PATCH)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    said = [line.split(": ", 1) for line in run.stderr.splitlines() if ": " in line]
    events = [event for event, _ in said]
    assert events[0] == "accepted"
    assert events.count("done") == 1
    assert all(words.startswith("17 ") for _, words in said), "Pd's request id came back"
    words = dict(said)["done"].replace("\\ ", " ").split()
    path = Path(words[words.index("path") + 1])
    assert path.name == "from-pd.wav"
    assert soundfile.info(path).frames == soundfile.info(original).frames


@pytest.mark.skipif(
    not shutil.which("oscsend"), reason="liblo's tools are not installed (Debian: apt install liblo-tools)"
)
def test_liblo_fuses(daemon, clips, client):
    assert client.ask("subscribe")
    original, reference = clips
    host, port = daemon.osc
    subprocess.run(
        ["oscsend", f"osc.udp://{host}:{port}", "/tertium/fuse", "isssssssfsi", "99",
         "original", original, "reference", reference, "name", "from-liblo", "blend", "0.25", "steps", "12"],
        timeout=10, check=True,
    )  # fmt: skip
    answer = client.receive()
    while answer.event not in ("done", "failed"):
        answer = client.receive()
    assert answer.event == "done"
    assert Path(answer.fields["path"]).name == "from-liblo.wav"
