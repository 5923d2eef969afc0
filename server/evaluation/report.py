"""The folder of a report: tables and pictures of its figures, the settings, and the page that presents them."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from evaluation import embedding, figures, plotting, sounds, tables
from evaluation.claims import ALGEBRA, Verdict
from evaluation.figures import FigureModule
from evaluation.measures import EXPLAINED
from evaluation.plan import Plan
from evaluation.tables import Row
from evaluation.tasks import Findings

PAGE, SETTINGS = "README.md", "settings.json"
LIMITS = """## What this model can test, and what it cannot

`pocket` is the embedded model: small, made from CC0 material, and without Stable Audio Open's kind of latents. Its codec stores mel spectra in decibels, compressed linearly, and finds phases anew when it decodes; so its latents are
linear in log spectra, an average of two latents is an average of two spectra in decibels, and a network that knows little answers with the mean of all sounds. Its reconstructions, blends and likenesses partly show this codec, not
the method.

It can test what does not depend on how good the model is: that the equations are implemented as they stand; which way likenesses move with the step, the order and the anchor, and by how much, in this one model; and whether the network
adds anything to what arithmetic on spectra gives. It cannot test whether a fusion is heard as one sound, how the latents of a learned autoencoder behave under the same steps, whether a prompt that a large
model knows leads it, or how wide the window is there. For these the paper's own model is needed, Stable Audio Open 1.0, which was
not run: its weights are gated, and it needs a GPU (`make report ARGS='--model stable-audio-open-1.0'`). And listeners are needed.
"""
BEGIN, END = "<!-- report:begin -->", "<!-- report:end -->"
PACKAGES = ("torch", "numpy", "stable-audio-tools", "peft", "matplotlib")


class OutdatedTable(ValueError):
    """A table was written by a version of the report that measured other columns. The message says how to measure it anew."""

    def __init__(self, name: str):
        super().__init__(
            f"The table {name}.csv has other columns than this version measures. Measure it again: make report ARGS='--only {name}'"
        )


def sound_names(plan: Plan) -> set[str]:
    """Return the names of all sounds that a plan measures."""
    pairs = (*plan.pairs, *plan.varied, *plan.trained_pairs, *plan.dropout_pairs, plan.drawn)
    return {*plan.sounds, *plan.trained, plan.trained_fully, *(name for pair in pairs for name in pair)}


def write_figure(out: Path, figure: FigureModule, findings: Findings, plan: Plan) -> None:
    """Write the table and the pictures of one figure.

    Raises:
        FileNotFoundError, OutdatedTable: the table of a figure that this one uses is missing, or has other columns.
    """
    tables.write(out / f"{figure.NAME}.csv", findings.rows, figure.COLUMNS)
    for file, drawn in figure.draw(load_rows(out, figure), findings.plates, plan).items():
        plotting.save(drawn, out / file)


def load_rows(out: Path, figure: FigureModule) -> dict[str, list[Row]]:
    """Read the rows of a figure and of those that it uses.

    Raises:
        FileNotFoundError: a table is missing.
        OutdatedTable: one has other columns than its figure.
    """
    found = {}
    for name in (figure.NAME, *figure.USES):
        found[name] = tables.read(out / f"{name}.csv")
        if found[name] and tuple(found[name][0]) != figures.BY_NAME[name].COLUMNS:
            raise OutdatedTable(name)
    return found


def describe(
    out: Path, plan: Plan, weights: dict[str, str | int], drawn: Sequence[str], *, seconds: float, jobs: int
) -> dict[str, object]:
    """Write the settings and return them; the stamps of figures that were not drawn in this run remain.

    Args:
        weights: facts on the model, see :meth:`evaluation.workbench.Bench.facts`.
        drawn: names of the figures drawn in this run.
        jobs: number of processes.
    """
    path = out / SETTINGS
    before = json.loads(path.read_text("utf-8")).get("figures", {}) if path.exists() else {}
    settings = plan.record()
    settings["model"] = Path(plan.model).name  # the path of a folder is private
    stamp = {
        "weights": weights["sha256"],
        "settings": hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16],
    }
    about = {
        "settings": settings,
        "weights": weights,
        "processes": jobs, "seconds_taken": round(seconds),
        "versions": {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in PACKAGES}},
        "learning": {f"{one.reference}, {one.method}, {one.null_dropout:g}": asdict(one.settings) | {"peak_rate": one.settings.peak_rate} for one in figures.BY_NAME["losses"].fine_tunes(plan)},
        "embedding": embedding.version(),
        "sounds": sounds.about(sound_names(plan)),
        "figures": {name: stamp if name in drawn else before[name] for name in figures.BY_NAME if name in drawn or name in before},
    }  # fmt: skip
    tables.put(path, (json.dumps(about, indent=1, ensure_ascii=False) + "\n").encode())
    return about


def compose(out: Path, plan: Plan, about: dict, failures: Sequence[str] = ()) -> list[Verdict]:
    """Write the page from the tables in the folder; return the verdicts in its order."""
    verdicts, sections = [], []
    for figure in figures.ALL:
        try:
            rows = load_rows(out, figure)
        except FileNotFoundError:
            sections.append(f"## {figure.TITLE}\n\nNot measured.")
            continue
        except OutdatedTable as error:
            sections.append(f"## {figure.TITLE}\n\nNot measured by this version. {error}")
            continue
        verdicts += figure.verdicts(rows)
        pictures = "\n".join(f"![{figure.TITLE}]({file})" for file in figure.FILES)
        sections.append(
            f"## {figure.TITLE}\n\n{pictures}\n\n{figure.section(rows, plan)}\n\nNumbers: [{figure.NAME}.csv]({figure.NAME}.csv)"
        )
    criteria = "\n".join(f"- {verdict.claim}: {verdict.criterion}." for verdict in verdicts)
    page = [
        "# The evidence", "", *_limits(about), _introduction(plan, about), "", "## The claims", "", table(verdicts), "", "Criteria:", "", criteria, "", *_warnings(about, failures),
        *(f"{section}\n" for section in sections), _of_sounds(about),
    ]  # fmt: skip
    tables.put(out / PAGE, ("\n".join(page)).encode())
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the summary: claim, measured, verdict."""
    return tables.markdown(
        ("claim", "measured", "verdict"), [(v.claim, v.measured, f"**{v.verdict}**") for v in verdicts]
    )


def splice(page: Path, verdicts: Sequence[Verdict]) -> bool:
    """Write the summary between the two marks of a page; return False, and write nothing, if the page lacks them."""
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return False
    tables.put(page, f"{before}{BEGIN}\n{table(verdicts)}\n{END}{after}".encode())
    return True


def _limits(about: dict) -> list[str]:
    """Return what the embedded model can test, if it is the one that was measured."""
    return [LIMITS] if about["weights"]["name"] == "pocket" else []


def _introduction(plan: Plan, about: dict) -> str:
    weights = about["weights"]
    size = " This is the tiny version, which tests the tool and says nothing about the method." if plan.is_tiny else ""
    return f"""Made by `make report` with the model `{weights["name"]}` (SHA-256 {weights["sha256"][:12]}…) on {weights["device"]}, in {about["seconds_taken"] / 60:.0f} minutes: {plan.paper_steps} steps for the reconstructions, which are the paper's section 4.1 and
appendices B and C, and {plan.steps} for the fusions; sounds of {plan.seconds:g} s, which keeps the run short; fixed seeds; strength `paper` and spread 0, which is the method as the paper states it. All settings are in [{SETTINGS}]({SETTINGS}).{size}

Likeness is the correlation of log-mel spectrograms with the sound's round trip through the codec, not with the sound itself: 1 is identical, 0 unrelated.
{EXPLAINED}
{_of_embedding(about)}

Means over sounds or pairs are given with 95 % intervals (± after Student's t), in which each sound or pair counts once: seeds and settings of one are averaged first. The verdicts are computed from these intervals: a
difference whose interval includes 0 was not found, whichever way its mean points. Of twenty intervals one misses its value by chance, so a single part that held among many weighs little. “{ALGEBRA}” marks what could not have come out otherwise."""


def _of_embedding(about: dict) -> str:
    """Return a sentence on the embedding: which it was, or that there was none."""
    if found := about.get("embedding"):
        return f"The embedding is that of {embedding.PACKAGE} {found} (Ma and Lerch, ISMIR 2022; CC BY 4.0), trained on sound effects. By it, different recordings of this report are 0.0 to 0.5 alike."
    return f"**The embedding was not measured: the package {embedding.PACKAGE}, which is optional, was not installed. `make embedding` installs it.**"


def _warnings(about: dict, failures: Sequence[str]) -> list[str]:
    stamps = {name: json.dumps(stamp, sort_keys=True) for name, stamp in about["figures"].items()}
    newest = json.dumps({"weights": about["weights"]["sha256"], "settings": _latest(about)}, sort_keys=True)
    old = [name for name, stamp in stamps.items() if stamp != newest]
    lines = [f"**Measured with other weights or settings than the rest: {', '.join(old)}.**", ""] if old else []
    lines += [f"**Failed; an older result or none is shown: {failure}**\n" for failure in failures]
    return lines


def _latest(about: dict) -> str:
    return hashlib.sha256(json.dumps(about["settings"], sort_keys=True).encode()).hexdigest()[:16]


def _of_sounds(about: dict) -> str:
    body = [
        [name, f"`{facts['recording']}`", "yes" if facts["held out of pocket's training"] else "**no**", facts["sha256"][:12]]
        for name, facts in about["sounds"].items()
    ]  # fmt: skip
    return f"""## The sounds

From Debian's `sonic-pi-samples` (CC0), each from its start; shorter ones are repeated.

{tables.markdown(("name", "recording", "unknown to pocket", "SHA-256 of the file"), body)}
"""
