"""The table of codecs: a perfect one has nothing to be blamed for, and a bad one has."""

import math

import torch

from pocket.codec import table

RATE = 44100
BEAT = (
    0.1
    * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    * torch.exp(-(torch.arange(RATE) / RATE % 0.25) / 0.02)
)
SOUND = torch.nn.functional.pad(BEAT, (table.LEAD_IN, 0)).repeat(2, 1)


def same(x):
    return x


def test_a_perfect_codec_changes_nothing(monkeypatch):
    monkeypatch.setattr(table, "steady", lambda: {"sine": 0.3 * torch.sin(torch.arange(2 * RATE) / 10).repeat(2, 1)})
    rows = table.measure((same, same), {"beat": SOUND})
    cells = dict(zip(table.COLUMNS, table.line(rows, 1.0), strict=True))
    assert all(cells[f"window {size}"].startswith("1.000") for size in (256, 2048, 4096, 16384))
    assert cells["before onsets dB"].startswith("0.000") and cells["mono width dB"].startswith("-60")
    assert [row["sound"] for row in rows] == ["beat", "sine"] and rows[1]["43 Hz %"] < 0.5


def test_a_bad_codec_is_seen():
    def smear(x):
        window = torch.hann_window(4001)
        return torch.nn.functional.conv1d(x[0][:, None], (window / window.sum())[None, None], padding=2000)[:, 0][None]

    back, seconds = table.round_trip((same, smear), SOUND)
    found = table.measures(SOUND, back)
    assert back.shape == SOUND.shape and seconds > 0
    assert found["window 2048"] < 0.9 and found["onsets"] < 0.8 and found["before onsets dB"] > 3
    assert math.isnan(table.measures(SOUND * torch.tensor([[1.0], [0.5]]), back)["mono width dB"])
