// The pair that is fused: the original, and what leads: a reference, a checkpoint or a prompt.

const { knobs, NO_CHECKPOINT } = require("./knobs");
const { panel } = require("./panel");
const { slots } = require("./slots");
const { line } = require("../lib/text");

/** The prompt, where it leads: a reference that is a sound leads without one. */
function leadingPrompt() {
    return knobs.checkpoint !== NO_CHECKPOINT || !slots.reference.id ? knobs.prompt : "";
}

/** What tells this pair from others. */
function pairKey() {
    const leads = knobs.checkpoint !== NO_CHECKPOINT ? knobs.checkpoint : slots.reference.id;
    return JSON.stringify([slots.original.id, leads, leadingPrompt()]);
}

/** The pair of a fusion, or null where it lacks something, which is then said. */
function pair() {
    const { original, reference } = slots;
    const learned = knobs.checkpoint !== NO_CHECKPOINT;
    const missing = original.waiting || (reference.waiting && !learned) ? "The daemon still reads a sound. Press it again in a moment."
        : !original.id ? "There is no original. Select a clip and press Take clip under Original, or drop a file there."
        : !learned && !reference.id && !knobs.prompt ? "There is no reference. Take a clip or a file, choose a checkpoint, or write a prompt."
        : "";
    if (missing) {
        panel.fail(missing);
        return null;
    }
    const leads = learned ? knobs.checkpoint : reference.id || undefined;
    const name = learned ? knobs.checkpoint : reference.id ? reference.name : knobs.prompt;
    return { fields: { original: original.id, reference: leads, prompt: leadingPrompt() || undefined }, name: `${original.name} + ${line(name, 60)}` };
}

module.exports = { pair, pairKey };
