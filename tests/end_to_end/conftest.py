"""Two sound files, and a daemon with the fake engine shared by the tests of a module."""

import pytest

from tests.end_to_end.daemons import Osc, running
from tests.sounds import two_clips


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    return two_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running(tmp_path_factory.mktemp("home")) as daemon:
        yield daemon


@pytest.fixture
def client(daemon):
    with Osc(daemon.osc) as client:
        yield client
