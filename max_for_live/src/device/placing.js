// Puts results where they are wanted, and says in the panel what came of it.

const { keeping } = require("./keeping");
const { panel } = require("./panel");
const { results } = require("./results");
const { state } = require("./state");
const { clock } = require("../lib/clock");
const { placeInArrangement } = require("../live/arrangement");
const { lookAgain } = require("../live/mending");
const { live } = require("../live/object_model");
const { placeInSlots } = require("../live/session_view");
const { placeInSimpler } = require("../live/simpler");

const LOOKS = [1500, 5000]; // ms after placing

const PLACES = { slot: placeInSlots, arrangement: placeInArrangement, simpler: placeInSimpler, audition: placeNowhere };

/** Puts results into the set, in a turn of its own; says what it did, after reading it back. */
function putIntoSet(made, destination, notes) {
    clock.later(() => {
        state.flush(); // before the clips: each change is a step of undo, and the newest is to be the clip
        const outcome = live.oneStep(() => PLACES[destination](made));
        if (outcome.problem) {
            panel.status(`${made[0].name} is finished, but not placed. Place tries again.`);
            panel.fail(outcome.problem);
            clock.later(() => tellLate(made, outcome), LOOKS[0]);
        } else {
            keeping.keep(made.map((one) => one.sound));
            panel.status(outcome.summary);
            LOOKS.forEach((wait) => outcome.rows && clock.later(() => mend(made, outcome, notes), wait));
        }
        tellNotes(outcome, notes);
    });
}

function placeNowhere(made) {
    return { summary: `${made[0].name} is ready: press Audition.`, notes: [] };
}

/** What Live took only later. */
function tellLate(made, outcome) {
    if (outcome.late && panel.error === outcome.problem && outcome.late()) {
        keeping.keep(made.map((one) => one.sound));
        panel.fail("");
        panel.status(outcome.summary);
    }
}

function mend(made, outcome, notes) {
    if (lookAgain(made, outcome) && results.made === made) {
        tellNotes(outcome, notes);
    }
}

function tellNotes(outcome, notes) {
    panel.notes(Array.from(new Set([...(outcome.loose ? outcome.loose.values() : []), ...outcome.notes, ...notes])));
}

module.exports = { putIntoSet };
