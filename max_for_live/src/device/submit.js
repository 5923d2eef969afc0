// Asking for fusions, morphs, windows and learnings: what a request says, and what is remembered of it for its result.

const { checkpoints } = require("./checkpoints");
const { knobs } = require("./knobs");
const { pair, pairKey } = require("./pair");
const { panel } = require("./panel");
const { slots } = require("./slots");
const { state } = require("./state");
const { jobs } = require("../daemon/jobs");
const { osc } = require("../daemon/osc");
const { mixed } = require("../lib/interpolate");
const { number, plainName } = require("../lib/text");
const { deadline } = require("../live/transport");

const COLORS = { original: 0xe8833a, reference: 0x3a7fc1 };

/** Asks for a fusion of the pair, in one of its three forms. */
function askFor(command, own, label) {
    const found = pair();
    if (!found) {
        return;
    }
    const by = command === "window" ? null : deadline(number(knobs.by_next, 0));
    const { original, reference } = slots;
    const colors = [reference.color || COLORS.reference, original.color || COLORS.original];
    const percent = command === "fuse" ? ` ${Math.round(knobs.blend * 100)} %` : "";
    const fields = {
        ...found.fields, ...own, hold: knobs.hold, steps: knobs.steps, order: knobs.order, eta: knobs.solver === "ode" ? 0 : 1,
        seed: knobs.seed >= 0 ? knobs.seed : undefined, slot: `${osc.session}-${command}`, deadline: by ? by.seconds : undefined,
    };
    submit(command, fields, {
        label, name: found.name + percent, seconds: original.seconds, beats: original.beats, warpMode: original.warpMode,
        color: mixed(colors[0], colors[1], knobs.blend), colors, row: original.row, destination: knobs.destination,
        by: by ? by.words : "", pair: pairKey(),
    });
}

function askToLearn() {
    const reference = slots.reference;
    if (!reference.id || reference.waiting) {
        panel.fail("There is no reference to learn. Take a clip or a file under Reference first.");
        return;
    }
    if (!knobs.prompt) {
        panel.fail("Learning needs a prompt. Write a few words that the reference shall answer to.");
        return;
    }
    const name = checkpoints.freeName(plainName(reference.name) || "reference");
    const fields = { reference: reference.id, prompt: knobs.prompt, name, seed: knobs.seed >= 0 ? knobs.seed : undefined };
    submit("learn", fields, { label: `Learning ${reference.name}`, name: `${reference.name} learned`, seconds: 0, beats: null });
}

function submit(command, fields, about) {
    const job = jobs.submit(command, fields, about);
    if (!job) {
        panel.fail("This device waits for many jobs already. Cancel some, or wait.");
        return;
    }
    panel.fail("");
    panel.status(`${about.label} is asked for.`);
    panel.progress(job);
    state.changed();
}

function askToCancel() {
    if (!jobs.cancel()) {
        panel.status("There is nothing to cancel.");
    }
}

module.exports = { askFor, askToLearn, askToCancel };
