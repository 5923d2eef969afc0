"""Two sound files, and a daemon with the fake engine that the tests of a module share."""

import pytest
import soundfile

from tests.end_to_end.daemons import Osc, running
from tests.server.sounds import tone


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """Paths of two sounds of 0.6 s, as text: an original at 48 kHz in mono, a reference at 44.1 kHz in stereo."""
    folder = tmp_path_factory.mktemp("clips")
    soundfile.write(folder / "original.wav", tone(220, sample_rate=48000, channels=1).T, 48000, subtype="FLOAT")
    soundfile.write(folder / "reference.wav", tone(330).T, 44100, subtype="FLOAT")
    return str(folder / "original.wav"), str(folder / "reference.wav")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home")) as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with Osc(daemon.osc) as client:
        yield client
