"""One daemon with the fake engine for all tests here, one with the pocket model, and two sounds."""

import pytest
import soundfile

from tests.end_to_end.daemons import running
from tests.server.sounds import tone
from tests.supercollider import sclang


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Paths of two sounds of 0.6 s, as text: an original at 48 kHz in mono, a reference at 44.1 kHz in stereo."""
    folder = tmp_path_factory.mktemp("clips")
    soundfile.write(folder / "original.wav", tone(220, sample_rate=48000, channels=1).T, 48000, subtype="FLOAT")
    soundfile.write(folder / "reference.wav", tone(330).T, 44100, subtype="FLOAT")
    return str(folder / "original.wav"), str(folder / "reference.wav")


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """With the fake engine: its prompts say how long a step takes, and what goes wrong."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("pocket"), engine="tertium.worker_engine", model="pocket") as daemon:
        yield daemon


@pytest.fixture
def play(request, tmp_path, clips):
    """Runs what a performer does, code in a Routine, in a real sclang; ``~a`` and ``~b`` are the two sounds, ``t`` is the client."""
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)

    def played(code, home=None, **options):
        home = request.getfixturevalue("daemon").home if home is None else home
        a, b = map(sclang.scd_string, clips)
        client = f"t = Tertium(home: {sclang.scd_string(str(home))});" if home else ""
        script = f"~a = {a}; ~b = {b};\n{client}\n~scene.({{\n{code}\n}});\n"
        return sclang.run(script, tmp_path / "sclang", **options).check()

    return played
