// Tertium for Max for Live: the script of the device, for Max's [v8]. One inlet, four outlets; ../interface.json is the table of what passes
// through them. It speaks OSC with a Tertium daemon on this machine, reads clips from Live, and puts results there.
// ../build/script.py links the modules into one script, of which this is the end, at its top level: Max calls its functions by their names.
//
// Rules of the house: nothing is written to Live from an observer (there are none: what is needed is read when it is needed), no
// id of Live's is kept longer than one turn (but a Simpler's, for one more look at it), no clip is overwritten or deleted, nothing is
// posted to the console, and what takes long is done in turns.

const { LONGEST_PROMPT } = require("./daemon/protocol");
const { osc } = require("./daemon/osc");
const { requests } = require("./daemon/requests");
const { discovery } = require("./daemon/discovery");
const { COMMAND, link } = require("./daemon/link");
const { jobs } = require("./daemon/jobs");
const { panel } = require("./device/panel");
const { state } = require("./device/state");
const { connection } = require("./device/connection");
const { knobs, NO_CHECKPOINT, setInteger, setNumber, setWord } = require("./device/knobs");
const { slots } = require("./device/slots");
const { audition, MOST_TAKES } = require("./device/audition");
const { results } = require("./device/results");
const { curve } = require("./device/curve");
const { checkpoints } = require("./device/checkpoints");
const { askFor, askToCancel, askToLearn } = require("./device/submit");
const { putIntoSet } = require("./device/placing");
const { clock } = require("./lib/clock");
const { TO_PANEL } = require("./lib/outlets");
const { has, number, within } = require("./lib/text");
const { LEAST_LIVE, live } = require("./live/object_model");
require("./device/outcomes"); // listens to jobs

inlets = 1;
outlets = 4;
autowatch = 0;

// --- messages: what the patcher says --------------------------------------------------------------------------------------------

/** What asks for something, and needs Live: nothing comes of it before Live is there. */
const asking = {
    original_clip: () => slots.takeClip("original"),
    original_result: () => slots.takeResult("original", results.made[0]),
    original_drop: (atoms) => slots.takeFile("original", atoms.join(" ")),
    reference_clip: () => slots.takeClip("reference"),
    reference_result: () => slots.takeResult("reference", results.made[0]),
    reference_drop: (atoms) => slots.takeFile("reference", atoms.join(" ")),

    fuse: () => askFor("fuse", { blend: knobs.blend }, "Fusing"),
    morph: () => askFor("morph", { count: knobs.count }, "Morphing"),
    window: () => askFor("window", {}, "Measuring the window"),
    learn: () => askToLearn(),
    cancel: () => askToCancel(),
    place() {
        if (!results.made.length) {
            panel.fail("There is no result yet. Press Fuse first.");
            return;
        }
        panel.fail("");
        putIntoSet(results.made, knobs.destination, []);
    },

    again: () => connection.lookAgain(),
    show_results: () => results.open(),
    choose_results: (atoms) => results.choose(atoms.join(" ")),
};

/** What sets something that is remembered with the set. */
const remembered = {
    prompt(atoms) {
        knobs.prompt = Array.from(atoms.join(" ").trim()).slice(0, LONGEST_PROMPT).join("");
        curve.show();
        state.changed();
    },
    checkpoint(atoms) {
        knobs.checkpoint = checkpoints.named(atoms.join(" ").trim()) || NO_CHECKPOINT;
        curve.show();
        state.changed();
    },
    daemon: (atoms) => connection.choosePort(atoms[0]),
};

const handlers = {
    ...asking,
    ...remembered,

    blend(atoms) {
        knobs.blend = within(number(atoms[0], knobs.blend), 0, 1);
        audition.fade();
        curve.position();
    },
    hold: (atoms) => setNumber("hold", atoms[0], 0, 1),
    steps: (atoms) => setInteger("steps", atoms[0], 1, 500),
    order: (atoms) => setInteger("order", atoms[0], 1, 3),
    solver: (atoms) => setWord("solver", atoms[0], ["sde", "ode"]),
    seed: (atoms) => setInteger("seed", atoms[0], -1, 2147483647),
    by_next: (atoms) => setWord("by_next", atoms[0], ["off", "1", "2", "4", "8"]),
    destination: (atoms) => setWord("destination", atoms[0], ["slot", "arrangement", "simpler", "audition"]),
    count: (atoms) => setInteger("count", atoms[0], 2, MOST_TAKES),
    audition: (atoms) => audition.play(number(atoms[0], 0) ? 1 : 0),

    copy_command() {
        outlet(TO_PANEL, "command_text", "set", COMMAND);
        outlet(TO_PANEL, "command_text", "select");
        panel.status(`The command is selected: press ${max.os === "windows" ? "Ctrl" : "Cmd"}-C, and paste it into a terminal.`);
    },

    live_ready: () => begin(),
    memory: (atoms) => state.came(atoms.join(" ")),
    forget: () => clock.stop(),
};

const begin = () => {
    if (live.ready) {
        return; // a second bang, as when a device is moved
    }
    live.ready = true;
    state.restoreGiven();
    slots.showAll();
    checkpoints.begin();
    panel.status(live.atLeast(LEAST_LIVE) ? "Take an original and a reference, and press Fuse." : live.tooOld(LEAST_LIVE));
    clock.start();
    link.begin();
};

/** An answer of the daemon, or whatever else came to our port. */
const receive = (address, atoms) => {
    if (osc.isRequest(address)) {
        link.choosePorts(); // our own words: we hear ourselves
        return;
    }
    const answer = osc.read(address, atoms);
    if (!answer) {
        return;
    }
    if (link.take(answer) || requests.take(answer) || jobs.take(answer)) {
        link.answered();
    } else {
        link.stray(answer);
    }
};

const handle = (selector, atoms) => {
    if (has(asking, selector) && !live.ready) {
        return;
    }
    state.touched = state.touched || (live.ready && (has(asking, selector) || has(remembered, selector)));
    handlers[selector](atoms);
};

// --- what Max calls: these two, and no other function has a name at the top level ----------------------------------------------------

/** Whatever comes into the inlet. */
function anything() {
    const [selector, ...atoms] = arrayfromargs(messagename, arguments);
    discovery.patcherPath = discovery.patcherPath || (this.patcher && this.patcher.filepath) || "";
    clock.guarded(() => {
        if (String(selector).charAt(0) === "/") {
            receive(selector, atoms);
        } else if (has(handlers, selector)) {
            handle(selector, atoms);
        }
    });
}

function notifydeleted() {
    clock.stop();
}
