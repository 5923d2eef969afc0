// What becomes of a job: what the panel says of it, and what is done with its result.

const { audition, MOST_TAKES } = require("./audition");
const { checkpoints } = require("./checkpoints");
const { curve } = require("./curve");
const { panel } = require("./panel");
const { putIntoSet } = require("./placing");
const { results } = require("./results");
const { state } = require("./state");
const { jobs } = require("../daemon/jobs");
const { errorText, osc } = require("../daemon/osc");
const { COMMANDS } = require("../daemon/protocol");
const { mixed } = require("../lib/interpolate");
const { isAbsolute } = require("../lib/paths");
const { has, line, listOf, number, sentence, within } = require("../lib/text");

/** What the daemon says of an original that is a loop: in Live that is what one expects, and no remark. */
const CLOSES = "original: its ends meet: made to loop";

const outcomes = {
    accepted(job, fields) {
        const steps = number(fields.steps, 0);
        const seed = number(fields.seed, -1);
        const facts = [job.about.label, steps && `${steps} steps`, seed >= 0 && `seed ${seed}`, job.about.by];
        panel.status(facts.filter(Boolean).join(" · "));
    },

    take(job, fields) {
        if (job.command === "morph" && isAbsolute(fields.path)) {
            audition.take(job, fields);
        }
    },

    done(job, fields) {
        if (isAbsolute(fields.path) && typeof fields.sound === "string" && number(fields.seconds, 0) > 0) {
            finished(job, fields);
        } else {
            panel.fail("The daemon says that it is done, but not with what. Its folder of results may tell.");
        }
    },

    failed(job, fields) {
        panel.fail(errorText(fields));
        panel.status(`${job.about.label} failed.`);
    },

    error(job, fields) {
        panel.fail(errorText(fields));
        panel.status(`${job.about.label} was refused.`);
    },

    cancelled(job, fields) {
        const reason = String(fields.reason || "");
        const why = reason.includes(osc.session) ? "A newer one took its place." : sentence(reason);
        panel.status(`${job.about.label} was cancelled. ${job.cancelled ? "" : why}`);
        if (job.command === "learn") {
            checkpoints.ask();
        }
    },

    late() {
        panel.fail("The daemon did not answer, and the deadline is too near now. Try again.");
    },

    lost(job) {
        panel.fail(`The daemon lost ${job.about.label.toLowerCase()}, and its deadline is over. Ask for it again.`);
    },

    cancelling(job) {
        panel.status(`${job.about.label}: cancelling.`);
    },

    withdrawn(job) {
        panel.status(`${job.about.label} was cancelled before the daemon knew of it.`);
    },

    cancel_refused(job, fields) {
        panel.fail(errorText(fields));
    },

    cancel_unanswered() {
        panel.fail("The daemon did not answer to Cancel. Press it again.");
    },
};

function finished(job, fields) {
    const about = job.about;
    const made = {
        sound: fields.sound, path: fields.path, seconds: number(fields.seconds, 0), name: about.name,
        beats: beatsOf(about, number(fields.seconds, 0)), warpMode: about.warpMode, color: about.color || 0, row: number(about.row, -1),
        notes: listOf(fields.notes).map((note) => line(note, 120)).filter((note) => note !== CLOSES),
    };
    if (job.command === "learn") {
        checkpoints.learned(fields, made);
    } else if (job.command === "window") {
        curve.measured(job, fields);
        results.last([made]);
        audition.single(made);
        panel.notes(made.notes);
    } else {
        keepAndPlace(job.command === "morph" ? takesOf(job, fields, made) : [made], job);
    }
}

/** The beats that a result of these seconds fills, as its original did; null where it follows no tempo. */
function beatsOf(about, length) {
    return about.beats && about.seconds ? (about.beats * length) / about.seconds : null;
}

function takesOf(job, fields, made) {
    const about = job.about;
    return listOf(fields.takes)
        .filter((take) => take && isAbsolute(take.path) && number(take.blend, -1) >= 0)
        .slice(0, MOST_TAKES)
        .map((take, index) => ({
            ...made, sound: String(take.sound), path: take.path, blend: within(take.blend, 0, 1),
            name: `${about.name} ${index + 1}`, color: mixed(about.colors[0], about.colors[1], within(take.blend, 0, 1)),
        }));
}

function keepAndPlace(takes, job) {
    if (!takes.length) {
        panel.fail("The daemon says that the morph is done, but names no takes. Its folder of results may tell.");
        return;
    }
    results.keep(takes, (made, notes) => {
        results.last(made);
        audition.load(made);
        const more = [...notes, ...made[0].notes];
        if (job.reopened) {
            panel.status(`${job.about.label} was finished while the set was closed. Place puts it into the set.`);
            panel.notes(more);
        } else {
            putIntoSet(made, job.about.destination, more);
        }
    });
}

jobs.happened.listen((what, job, fields) => {
    if (what === "accepted" || !jobs.open.has(job.id)) {
        state.changed();
    }
    outcomes[what](job, fields);
});
jobs.moved.listen(() => panel.progress(jobs.foremost()));

state.add({
    save: () => ({
        jobs: Array.from(jobs.open.values()).map(({ id, command, fields, about, job }) => ({ id, command, fields, about, job })),
    }),
    restore(saved) {
        listOf(saved.jobs)
            .filter((job) => job && has(COMMANDS, job.command) && typeof job.id === "string" && job.fields && job.about
                && (job.job || !job.fields.deadline))
            .forEach((job) => jobs.reopen(job));
    },
    short: { jobs: [] },
});
