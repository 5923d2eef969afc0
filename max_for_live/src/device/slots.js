// The two slots: original and reference, each taken from a clip, a file or a result.

const { panel } = require("./panel");
const { savedSound, state } = require("./state");
const { discovery } = require("../daemon/discovery");
const { link } = require("../daemon/link");
const { errorText } = require("../daemon/osc");
const { requests } = require("../daemon/requests");
const { TO_AUDIO } = require("../lib/outlets");
const { exists, isAbsolute, maxPath, stem, systemPath } = require("../lib/paths");
const { signal } = require("../lib/signal");
const { duration, line, listOf, number, plainName } = require("../lib/text");
const { partOf, readClip, selectedClip, wholeBeats } = require("../live/clips");

const SLOTS = ["original", "reference"];
const ADD_PATIENCE = 120000; // ms
const ADD_WAIT = 2000;
const PIECE_WAIT = 60; // ms more for each marker: every piece is stretched by itself
const EMPTY_SLOT = "Take a clip, or drop a file";

function emptySlot() {
    return { id: "", name: "", path: "", seconds: 0, beats: null, warpMode: null, color: 0, row: -1, notes: [], waiting: 0 };
}

const slots = {
    changed: signal(), // what is in them may be another
    original: emptySlot(),
    reference: emptySlot(),
    turn: 0,

    takeClip(which) {
        const clip = selectedClip();
        if (!clip) {
            panel.fail("No clip is selected. Click an audio clip in Live, and press this again.");
            return;
        }
        const read = readClip(clip);
        if (read.problem) {
            panel.fail(read.problem);
            return;
        }
        this.add(which, read, partOf(read));
    },

    takeFile(which, given) {
        const path = systemPath(given);
        if (!isAbsolute(path)) {
            panel.fail("That is no file on this computer. Drop an audio file from the browser, the Finder or the Explorer.");
            return;
        }
        this.add(which, { path, name: stem(path), color: 0, row: -1, warpMode: null, notes: [], beats: undefined }, {});
    },

    takeResult(which, made) {
        if (!made) {
            panel.fail("There is no result yet. Press Fuse first.");
            return;
        }
        panel.fail("");
        this.turn += 1;
        this[which] = { ...emptySlot(), ...savedSound(made), id: made.sound };
        this.show(which);
        panel.status(`${made.name} is the ${which} now.`);
    },

    /** Asks the daemon to take a part of a file. The latest asked for counts. */
    add(which, read, part) {
        panel.fail("");
        this.turn += 1;
        const turn = this.turn;
        this[which].waiting = turn;
        panel.status(`The daemon reads ${read.name}.`);
        const name = plainName(read.name);
        const fields = { path: read.path, ...(name ? { name } : {}), ...part };
        requests.ask("add_sound", fields, (event, said) => {
            if (this[which].waiting === turn) {
                this[which].waiting = 0;
                this.added(which, read, event, said);
            }
        }, ADD_PATIENCE, ADD_WAIT + (read.pairs ? read.pairs.length : 2) * PIECE_WAIT);
    },

    added(which, read, event, said) {
        const length = number(said.seconds, 0);
        if (event === "silence") {
            panel.fail(`The daemon did not answer, so ${read.name} was not taken. ${link.trouble || "Try again."}`);
        } else if (event === "error") {
            panel.fail(said.code === "unknown_field"
                ? `The daemon (${link.version}) takes whole files only, and this is a part of one. Update it, or consolidate the clip.`
                : errorText(said));
        } else if (typeof said.sound !== "string" || !isAbsolute(said.path) || length <= 0) {
            panel.fail("The daemon's answer names no sound. Try again, or restart it.");
        } else {
            const beats = read.beats === undefined ? wholeBeats(length) : read.beats;
            const notes = [...read.notes, ...listOf(said.notes).map((note) => line(note, 120))];
            this[which] = {
                ...emptySlot(), id: said.sound, name: read.name, path: said.path, seconds: length, beats, notes,
                warpMode: read.warpMode, color: read.color, row: read.row,
            };
            this.show(which);
            panel.notes(notes);
            panel.status(`${read.name} is the ${which} now.`);
        }
    },

    show(which) {
        const slot = this[which];
        const beats = slot.beats ? `${Number(slot.beats.toFixed(2))} beat${slot.beats === 1 ? "" : "s"} · ` : "";
        panel.say(`${which}_name`, slot.name || EMPTY_SLOT);
        panel.say(`${which}_length`, slot.id ? beats + duration(slot.seconds) : "");
        if (slot.path) {
            outlet(TO_AUDIO, "slot_wave", which, maxPath(slot.path));
        }
        this.changed.send();
        state.changed();
    },

    showAll() {
        SLOTS.forEach((which) => this.show(which));
    },
};

discovery.hint(() => SLOTS.map((which) => slots[which].path));

state.add({
    save: () => ({ original: { ...slots.original, waiting: 0 }, reference: { ...slots.reference, waiting: 0 } }),
    restore(saved) {
        SLOTS.forEach((which) => {
            const sound = saved[which];
            if (sound && typeof sound.id === "string" && sound.id) {
                slots[which] = { ...emptySlot(), ...savedSound(sound), id: sound.id };
            }
        });
    },
    sounds: () => SLOTS.map((which) => slots[which].id),
    show() {
        SLOTS.forEach((which) => {
            const path = slots[which].path;
            slots[which].path = path && exists(path) ? path : "";
        });
        slots.showAll();
    },
});

module.exports = { slots };
