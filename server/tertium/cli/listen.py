"""The commands ``listen``, which makes the page of a listening study, and ``ratings``, which reads what came of it."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from tertium.cli import render
from tertium.cli.connect import Wanted, running_or_started
from tertium.cli.listening import page, pairs, results, statistics, stimuli
from tertium.cli.listening.pairs import NamedPair
from tertium.cli.listening.statistics import Estimate, KindSummary
from tertium.cli.listening.stimuli import Settings, StimulusSet
from tertium.cli.output import Output, counted
from tertium_protocol.client import Client
from tertium_protocol.commands import parse_request

MEBIBYTE = 2**20
NAME_WIDTH, WIDTH = 26, 23  # of a table's columns, in characters
HEADINGS = {
    "one": "one sound (7) or two",
    "original": "like the original",
    "reference": "like the reference",
    "both": "the lesser of these",
}
"""Of the measures, for people."""


def given_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings of the fusions in the arguments.

    Raises:
        ProtocolError: one of them is out of the protocol's range.
    """
    given = {name: value for name in ("blend", "steps", "seed") if (value := getattr(arguments, name)) is not None}
    parse_request("fuse", {"original": "a", "reference": "b", **given})
    return Settings(**given)


def make(
    target: Path, chosen: Sequence[NamedPair], settings: Settings, seconds: float, wanted: Wanted, output: Output, *, force: bool
) -> None:  # fmt: skip
    """Make the page of a study, and print what is in it.

    Args:
        target: the HTML file.
        chosen: the pairs; the practice is added.
        seconds: length of the stimuli.
        force: replace an existing file.

    Raises:
        SoundError, TertiumError: a pair cannot be used, or the file not be written.
        RemoteError, JobCancelled, NoAnswer, NoDaemon: a job failed.
    """
    read = [pairs.read(pair, seconds=seconds) for pair in (pairs.PRACTICE_PAIR, *chosen)]  # before a daemon is started
    sets = []
    with running_or_started(wanted, output) as client:
        for number, pair in enumerate(read):
            output.note(f"{pair.name} ({pair.kind}), {number + 1} of {len(read)}")
            sets.append(stimuli.make(client, pair, settings, run=_runner(client, output)))
    data = page.build(sets[0], sets[1:]).encode()
    render.put(data, target, replace=force)
    output.result(_made(target, sets, len(data)), _made_lines(target, sets, len(data)))


def _runner(client: Client, output: Output) -> stimuli.Run:
    def run(command: str, fields: dict[str, Any]) -> np.ndarray:
        return client.download(render.awaited(client, command, fields, output).sound).to_array()

    return run


def _made(target: Path, sets: Sequence[StimulusSet], size: int) -> dict[str, Any]:
    described = [{"pair": each.pair, "kind": each.kind, "loudness": each.loudness} for each in sets]
    return {"output": str(target), "bytes": size, "sets": described}


def _made_lines(target: Path, sets: Sequence[StimulusSet], size: int) -> list[str]:
    lines = [f"{target}  {size / MEBIBYTE:.1f} MiB, {counted(len(sets) - 1, 'set')} and a practice"]
    lines += [f"  {each.kind:20}  {each.loudness:6.1f} LUFS  {each.pair}" for each in sets]
    return [
        *lines, "Give the file to each listener with a name to enter; collect the CSV files that it saves. Then:",
        "  tertium ratings listening-*.csv",
    ]  # fmt: skip


def ratings(paths: Sequence[Path], output: Output) -> None:
    """Print the means of each method and the differences from the fusion, for each kind of pair.

    Raises:
        SoundError, TertiumError: see :func:`tertium.cli.listening.results.read`.
    """
    read = results.read(paths)
    found = statistics.summaries(read.ratings)
    notes = ("", *read.notes) if read.notes else ()
    fields = {"study": read.study, "listeners": read.listeners, "notes": list(read.notes), "kinds": [asdict(each) for each in found]}  # fmt: skip
    told = (
        "Means and 95 % intervals over listeners."
        if len(read.listeners) > 1
        else "Means; intervals need a second listener."
    )
    head = [f"Study {read.study}, {counted(len(read.listeners), 'listener')}. {told}"]
    output.result(fields, [*head, *(line for each in found for line in _table(each)), *notes])


def _table(summary: KindSummary) -> list[str]:
    head = f"{summary.kind} ({counted(summary.pairs, 'pair')}, {counted(summary.listeners, 'listener')})"
    headings = " " * NAME_WIDTH + "".join(f"{heading:{WIDTH}}" for heading in HEADINGS.values())
    lines = ["", head, headings.rstrip()]
    lines += [_row(method, row, "{:.2f}") for method, row in summary.means.items()]
    return lines + [_row(f"{statistics.FUSION} - {name}", row, "{:+.2f}") for name, row in summary.differences.items()]


def _row(name: str, row: dict[str, Estimate], format: str) -> str:
    cells = (f"{_words(row[measure], format):{WIDTH}}" for measure in HEADINGS)
    return f"{'  ' + name:{NAME_WIDTH}}{''.join(cells)}".rstrip()


def _words(estimate: Estimate, format: str) -> str:
    mean = format.format(estimate.mean)
    if estimate.low is None or estimate.high is None:
        return mean
    return f"{mean} [{format.format(estimate.low)}, {format.format(estimate.high)}]"
