// The settings of the panel's controls. Numbers and choices are parameters of Live's, which saves them; prompt and checkpoint are not.

const { panel } = require("./panel");
const { state } = require("./state");
const { number, within } = require("../lib/text");

const NO_CHECKPOINT = "none";

const knobs = {
    blend: 0.5, hold: 0.2, steps: 50, order: 3, solver: "sde", seed: -1, by_next: "off", destination: "slot", count: 5,
    prompt: "", checkpoint: NO_CHECKPOINT,
};

function setNumber(name, value, low, high) {
    knobs[name] = within(number(value, knobs[name]), low, high);
}

function setInteger(name, value, low, high) {
    setNumber(name, value, low, high);
    knobs[name] = Math.round(knobs[name]);
}

/** One of some words; whatever else comes changes nothing. */
function setWord(name, value, words) {
    if (words.includes(String(value))) {
        knobs[name] = String(value);
    }
}

state.add({
    save: () => ({ prompt: knobs.prompt, checkpoint: knobs.checkpoint }),
    restore({ prompt, checkpoint }) {
        knobs.prompt = typeof prompt === "string" ? prompt : "";
        knobs.checkpoint = typeof checkpoint === "string" ? checkpoint : NO_CHECKPOINT;
    },
    show() {
        if (knobs.prompt) {
            panel.say("prompt_text", knobs.prompt);
        }
    },
});

module.exports = { knobs, setNumber, setInteger, setWord, NO_CHECKPOINT };
