// What is remembered with the set, in a hidden parameter. Each module that has something to remember registers it here.

const { clock } = require("../lib/clock");
const { TO_PANEL } = require("../lib/outlets");
const { isAbsolute } = require("../lib/paths");
const { signal } = require("../lib/signal");
const { line, listOf, number } = require("../lib/text");
const { live } = require("../live/object_model");

const SCHEMA = 1;
const WAIT = 500; // ms
const LONGEST = 30000; // characters of a symbol

const state = {
    parts: [],
    given: "", // what came before the device was ready
    written: "",
    due: -1,
    touched: false, // whether somebody did something with the device
    remembered: signal(), // what is remembered may be another

    /**
     * Registers what is remembered: `save()` gives it as an object of plain values, `restore(saved)` takes it out of everything that was saved, of
     * which nothing is certain, `show()` is called when all is restored; `short` is put in place of what is saved where all is too long; `sounds()` gives
     * the ids of the sounds in it.
     */
    add(part) {
        this.parts.push({ restore() {}, show() {}, short: {}, sounds: () => [], ...part });
    },

    /** The ids of the sounds that are remembered. */
    sounds() {
        return this.parts.flatMap((part) => part.sounds());
    },

    /** Writes soon, but not before somebody did something: inserting the device or opening a set leaves the set as it is. */
    changed() {
        if (live.ready && this.touched && this.due < 0) {
            this.due = clock.now + WAIT;
        }
    },

    flush() {
        if (this.due >= 0) {
            this.due = -1;
            this.write();
        }
    },

    write() {
        const content = Object.assign({ schema: SCHEMA }, ...this.parts.map((part) => part.save()));
        const whole = packed(content);
        const text = whole.length <= LONGEST ? whole : packed(Object.assign(content, ...this.parts.map((part) => part.short)));
        if (text !== this.written) {
            this.written = text;
            outlet(TO_PANEL, "memory", text);
            this.remembered.send();
        }
    },

    /** A set was opened, or the device copied; or it is the echo of what was written; or an undo brought back what was written long ago. */
    came(text) {
        if (!live.ready) {
            this.given = text;
        } else if (!this.touched && !this.written) {
            this.restore(text);
        } else {
            this.written = text; // after an undo it is older than we are: the next change writes it anew
        }
    },

    /** What came before the device was ready. */
    restoreGiven() {
        if (this.given) {
            clock.guarded(() => this.restore(this.given)); // whatever is wrong with it, the device begins
        }
    },

    restore(text) {
        const saved = unpacked(text);
        if (saved && saved.schema === SCHEMA) {
            this.parts.forEach((part) => part.restore(saved));
            this.parts.forEach((part) => part.show());
            this.remembered.send();
        }
    },
};

/** One symbol without blanks, commas, semicolons, quotes or backslashes. */
function packed(content) {
    return encodeURIComponent(JSON.stringify(content)).replace(/'/g, "%27");
}

function unpacked(text) {
    try {
        return JSON.parse(decodeURIComponent(text));
    } catch (problem) {
        return null;
    }
}

/** A sound or a result as it was saved, each field of the kind that it must have. */
function savedSound(saved) {
    const known = (value) => (typeof value === "number" && isFinite(value) ? value : null);
    return {
        sound: line(saved.sound, 64), name: typeof saved.name === "string" ? line(saved.name, 100) : "", path: isAbsolute(saved.path) ? saved.path : "",
        seconds: known(saved.seconds) || 0, beats: known(saved.beats), warpMode: known(saved.warpMode), color: known(saved.color) || 0,
        row: number(known(saved.row), -1), blend: known(saved.blend) || 0, notes: listOf(saved.notes).map((note) => line(note, 120)),
    };
}

clock.ticked.listen(() => {
    if (clock.now >= state.due) {
        state.flush();
    }
});

module.exports = { state, savedSound };
