"""Figure 3: a reference that was learned under its prompt, given back by the prompt from noise."""

import functools
from collections.abc import Sequence

from matplotlib.figure import Figure

from evaluation import plotting
from evaluation.claims import Verdict, grade
from evaluation.fine_tunes import Lesson
from evaluation.plan import Plan
from evaluation.tables import Row, markdown, mean, values, where
from evaluation.tasks import Findings, Task
from evaluation.workbench import Bench, Plate
from tertium.engine import operations
from tertium.engine.settings import GenerateSettings

NAME, TITLE = "prompt", "A learned reference, given back by its prompt"
COLUMNS = ("reference", "method", "prompt", "answer_to", "seed", "log_mel", "latent", "last_loss")
FILES = (f"{NAME}.png",)
USES: tuple[str, ...] = ()
LEARNED, NULL, BEFORE = "its prompt", "the null prompt", "its prompt, before learning"
GOOD, FAIR = 0.97, 0.9


def lessons(plan: Plan) -> list[Lesson]:
    return [*(plan.lesson(name) for name in plan.taught), plan.lesson(plan.taught_fully, method="full")]


def tasks(plan: Plan) -> list[Task]:
    return [
        Task(NAME, f"{one.reference} ({one.method})", functools.partial(answer, lesson=one)) for one in lessons(plan)
    ]


def answer(bench: Bench, *, lesson: Lesson) -> Findings:
    """What one learned reference's prompt gives from noise at guidance 1, and what the null prompt and the base give."""
    plan, findings, losses = bench.plan, Findings(), bench.losses(lesson)
    tail = losses[-max(1, len(losses) // 10) :]
    name, title = lesson.reference, f"{lesson.reference}\n({lesson.method})"
    findings.plates.append(bench.plate(title, "reference (round trip)", bench.round_trip(name)))
    asked = [*((LEARNED, seed) for seed in plan.seeds), (NULL, plan.seed), (BEFORE, plan.seed)]
    for told, seed in asked:
        prompt = "" if told == NULL else lesson.prompt
        settings = GenerateSettings(prompt=prompt, seconds=plan.seconds, guidance=1.0, steps=plan.steps, seed=seed)
        audio = operations.generate(bench.model if told == BEFORE else bench.taught(lesson), settings)
        findings.rows.append({
            "reference": name, "method": lesson.method, "prompt": lesson.prompt, "answer_to": told, "seed": seed,
            "log_mel": bench.likeness_to(audio, name), "latent": bench.latent_likeness_to(audio, name), "last_loss": sum(tail) / len(tail),
        })  # fmt: skip
        if seed == plan.seed:
            findings.plates.append(bench.plate(title, told, audio))
    return findings


def draw(tables: dict[str, list[Row]], plates: Sequence[Plate], plan: Plan) -> dict[str, Figure]:
    notes = {
        (f"{row['reference']}\n({row['method']})", str(row["answer_to"])): f"like it {row['log_mel']:.2f}"
        for row in tables[NAME] if row["seed"] == plan.seed
    }  # fmt: skip
    title = f"Learned references: what comes from noise at guidance 1 (learning of {plan.lesson_steps} steps)"
    return {FILES[0]: plotting.plate(plates, title=title, seconds=plan.seconds, notes=notes)}


def verdicts(tables: dict[str, list[Row]]) -> list[Verdict]:
    rows = where(tables[NAME], answer_to=LEARNED)
    found = {
        (name, method): mean(of, "log_mel")
        for name in values(rows, "reference") for method in values(rows, "method") if (of := where(rows, reference=name, method=method))
    }  # fmt: skip
    usual = [value for (_, method), value in found.items() if method == "lora"]
    measured = ", ".join(f"{name} ({method}) {value:.2f}" for (name, method), value in found.items())
    criterion = f"held: every reference that LoRA learned comes back with a mean likeness of {GOOD} or more; in part: each with {FAIR} or more, or at least one with {GOOD}"
    part = min(usual) >= FAIR or max(usual) >= GOOD
    return [Verdict("Learning on one sound with its prompt lets the prompt give it back from noise", measured, grade(min(usual) >= GOOD, part), criterion)]  # fmt: skip


def tell(tables: dict[str, list[Row]], plan: Plan) -> str:
    rows = tables[NAME]
    body = []
    for name in values(rows, "reference"):
        for method in values(where(rows, reference=name), "method"):
            mine = where(rows, reference=name, method=method)
            told = where(mine, answer_to=LEARNED)
            spread = f"{min(r['log_mel'] for r in told):.3f} … {max(r['log_mel'] for r in told):.3f}"
            shown = [
                spread,
                mean(told, "latent"),
                *(mean(where(mine, answer_to=to), "log_mel") for to in (NULL, BEFORE)),
            ]
            body.append([name, method, f"“{mine[0]['prompt']}”", *shown, f"{mine[0]['last_loss']:.3f}"])
    head = ["reference", "method", "prompt", f"its prompt, seeds {', '.join(map(str, plan.seeds))}", "latent correlation", "the null prompt", "its prompt, before learning", "last loss"]  # fmt: skip
    return f"""Each reference is learned by the engine's own settings ({plan.lesson_steps} steps of {plan.batch} rows), then generated from noise with {plan.steps} steps, guidance 1, and compared with its round trip
through the codec. What the null prompt gives shows how far learning has drawn it to the reference: the fusion depends on that. The last loss is the mean of the last tenth of the steps.

{markdown(head, body)}"""
