"""What a measured window is said to lack."""

import pytest

from tertium.worker.torch_engine import _remarks


def window(*points):
    return {"points": [dict(zip(("original", "reference", "position"), point, strict=True)) for point in points]}


GRADUAL = ((0.3, 1.0, 0.0), (0.5, 0.8, 0.3), (0.7, 0.7, 0.5), (1.0, 0.3, 1.0))


@pytest.mark.parametrize(
    ("points", "notes"),
    [
        (GRADUAL, []),
        (((0.96, 1.0, 0.0), *GRADUAL[1:]), ["the two sounds are so alike"]),
        ((GRADUAL[0], (0.7, 0.68, 0.6), GRADUAL[3]), ["the result leaves the reference all at once"]),
        (
            (GRADUAL[0], (0.4, 0.9, 0.2), (0.8, 0.6, 0.8), GRADUAL[3]),
            ["no fusion of this pair was found that is equally like both sounds: the nearest is 0.80 like the original and 0.60 like the reference"],
        ),
    ],
)  # fmt: skip
def test_a_window_is_told_for_what_it_is(points, notes):
    made = _remarks(window(*points))
    assert len(made) == len(notes)
    assert all(note.startswith(start) for note, start in zip(made, notes, strict=True))
