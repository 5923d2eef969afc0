"""One daemon with the fake engine for all tests here, one with the pocket model, and two sounds."""

import pytest

from tests.end_to_end.daemons import running
from tests.sounds import two_clips
from tests.supercollider import sclang


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    return two_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def daemon(tmp_path_factory):
    """With the fake engine: its prompts say how long a step takes, and what goes wrong."""
    with running(tmp_path_factory.mktemp("daemon")) as daemon:
        yield daemon


@pytest.fixture(scope="session")
def pocket(tmp_path_factory):
    with running(tmp_path_factory.mktemp("pocket"), engine="tertium.worker.torch_engine", model="pocket") as daemon:
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
