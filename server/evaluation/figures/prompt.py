"""Figure 3: a learned reference, reproduced from noise by its prompt."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, above, positive, together
from evaluation.fine_tunes import FineTune
from evaluation.intervals import difference, over
from evaluation.measures import MEASURES, cells
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, mean, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine import operations
from tertium.engine.settings import GenerateSettings

NAME, TITLE = "prompt", "A learned reference, reproduced by its prompt"
COLUMNS = ("reference", "method", "prompt", "answer_to", "seed", "latent", "last_loss", *MEASURES)
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
LEARNED, NULL, BEFORE = "its prompt", "the null prompt", "its prompt, before learning"
GOOD = 0.9
UNIT = ("reference",)


def fine_tunes(plan: Plan) -> list[FineTune]:
    return [*(plan.fine_tune(name) for name in plan.trained), plan.fine_tune(plan.trained_fully, method="full")]


def tasks(plan: Plan) -> list[Task]:
    return [
        Task(NAME, f"{one.reference} ({one.method})", functools.partial(answer, fine_tune=one))
        for one in fine_tunes(plan)
    ]


def answer(bench: Bench, *, fine_tune: FineTune) -> Findings:
    """Measure one fine-tune: generations from noise at guidance 1 by its prompt and by the null prompt, and by its prompt without fine-tuning."""
    plan, findings, losses = bench.plan, Findings(), bench.losses(fine_tune)
    tail = losses[-max(1, len(losses) // 10) :]
    name, title = fine_tune.reference, f"{fine_tune.reference}\n({fine_tune.method})"
    findings.plates.append(bench.plate(title, "reference (round trip)", bench.round_trip(name)))
    asked = [*((LEARNED, seed) for seed in plan.seeds), (NULL, plan.seed), (BEFORE, plan.seed)]
    for given, seed in asked:
        prompt = "" if given == NULL else fine_tune.prompt
        settings = GenerateSettings(prompt=prompt, seconds=plan.seconds, guidance=1.0, steps=plan.steps, seed=seed)
        audio = operations.generate(bench.model if given == BEFORE else bench.fine_tuned(fine_tune), settings)
        findings.rows.append({
            "reference": name, "method": fine_tune.method, "prompt": fine_tune.prompt, "answer_to": given, "seed": seed,
            "latent": bench.latent_likeness_to(audio, name), "last_loss": sum(tail) / len(tail), **bench.measures(audio, name),
        })  # fmt: skip
        if seed == plan.seed:
            findings.plates.append(bench.plate(title, given, audio))
    return findings


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    notes = {
        (f"{row['reference']}\n({row['method']})", str(row["answer_to"])): f"likeness {row['log_mel']:.2f}"
        for row in tables[NAME] if row["seed"] == plan.seed
    }  # fmt: skip
    title = f"Learned references: generations from noise at guidance 1 (fine-tuned for {plan.training_steps} steps)"
    return {FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes)}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = where(tables[NAME], method="lora")
    learned = where(rows, answer_to=LEARNED)
    value, gain = over(learned, "log_mel", UNIT), difference(learned, where(rows, answer_to=BEFORE), "log_mel", UNIT)
    measured = f"likeness {value.text()} over {value.count} references (LoRA), by {gain.text(signed=True)} more than before training"
    criterion = f"held: over the references, the interval of the likeness lies above {GOOD}, and that of its gain by training above 0; in part: one of the two, and the other interval includes its bound; did not hold: one lies below"
    verdict = together([above(value, GOOD), positive(gain)])
    return [Verdict("After fine-tuning on one sound with its prompt, the prompt reproduces the sound from noise", measured, verdict, criterion)]  # fmt: skip


def section(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    body = []
    for name in values(rows, "reference"):
        for method in values(where(rows, reference=name), "method"):
            mine = where(rows, reference=name, method=method)
            by_prompt = where(mine, answer_to=LEARNED)
            spread = f"{min(r['log_mel'] for r in by_prompt):.3f} … {max(r['log_mel'] for r in by_prompt):.3f}"
            shown = [
                spread,
                mean(by_prompt, "latent"),
                *(mean(where(mine, answer_to=to), "log_mel") for to in (NULL, BEFORE)),
            ]
            body.append([name, method, f"“{mine[0]['prompt']}”", *shown, f"{mine[0]['last_loss']:.3f}"])
    head = ["reference", "method", "prompt", f"its prompt, seeds {', '.join(map(str, plan.seeds))}", "latent correlation", "the null prompt", "its prompt, before training", "last loss"]  # fmt: skip
    lora = where(rows, method="lora")
    by_measure = [[to, *cells(where(lora, answer_to=to), UNIT)] for to in (LEARNED, NULL, BEFORE)]
    return f"""The model is fine-tuned on each reference with the engine's default settings ({plan.training_steps} steps of {plan.batch} rows), then generates from noise with {plan.steps} steps at guidance 1; the result is compared with the reference's round trip
through the codec. The result of the null prompt shows how far training has drawn the null prompt to the reference, on which the fusion depends. The last loss is the mean over the last tenth of the steps.

{markdown(head, body)}

By all measures, LoRA, over the references.

{markdown(["answer to", *MEASURES.values()], by_measure)}"""
