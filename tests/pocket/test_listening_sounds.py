"""The shipped sounds of the listening study are what the tool makes, of recordings that were held out."""

import numpy as np
import pytest
import soundfile

from pocket import listening_sounds
from pocket.material import recordings


@pytest.fixture(scope="module", autouse=True)
def _recordings():
    if not recordings.FOLDER.is_dir():
        pytest.skip("The recordings are not installed (Debian: apt install sonic-pi-samples)")


def test_only_recordings_that_were_in_no_training_are_used():
    used = {name for _, _, names in listening_sounds.SOUNDS.values() for name in names}
    assert used <= set(recordings.HELD_OUT)


def test_the_tool_makes_what_is_shipped(tmp_path, monkeypatch):
    monkeypatch.setattr(listening_sounds.sys, "argv", ["listening_sounds", str(tmp_path)])
    listening_sounds.main()
    shipped = sorted(path.name for path in listening_sounds.TARGET.glob("*.flac"))
    assert sorted(path.name for path in tmp_path.glob("*.flac")) == shipped
    for name in shipped:
        made, ours = (soundfile.read(folder / name)[0] for folder in (tmp_path, listening_sounds.TARGET))
        assert made.shape == ours.shape and np.abs(made - ours).max() <= 2**-14, name
    page = "PROVENANCE.md"
    assert (tmp_path / page).read_text() == (listening_sounds.TARGET / page).read_text()
