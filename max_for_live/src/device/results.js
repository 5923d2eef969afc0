// The last results, and where results lie: durable in the daemon's folder, or copied to one that the user chose.

const { audition, MOST_TAKES } = require("./audition");
const { panel } = require("./panel");
const { savedSound, state } = require("./state");
const { discovery } = require("../daemon/discovery");
const { link } = require("../daemon/link");
const { clock } = require("../lib/clock");
const { exists, fileName, fileUrl, folderOf, isAbsolute, joined, maxPath, sizeOf, stem, systemPath } = require("../lib/paths");
const { listOf } = require("../lib/text");

const CHUNK = 16384; // bytes that Max's File reads or writes in one call
const CHUNKS_A_TURN = 16;
const LARGEST_COPY = 512 * 1024 * 1024;

const results = {
    folder: "", // where copies go; empty for the daemon's own folder
    made: [], // the last results

    last(made) {
        this.made = made;
        state.touched = true;
        state.changed();
    },

    own() {
        return discovery.home ? joined(discovery.home, "results") : this.made.length ? folderOf(this.made[0].path) : "";
    },

    show() {
        panel.say("results_text", this.folder || this.own());
    },

    choose(given) {
        const path = given ? systemPath(given) : "";
        if (path && !isAbsolute(path)) {
            panel.fail("That is no folder on this computer. Choose another.");
            return;
        }
        panel.fail("");
        this.folder = path.replace(/(.)[/\\]+$/, "$1");
        panel.status(path ? "Results are copied to that folder from now on." : "Results stay in the daemon's own folder.");
        this.show();
        state.changed();
    },

    open() {
        const folder = this.folder || this.own();
        if (!folder) {
            panel.fail("The folder of the results is not known yet. Start the daemon first.");
            return;
        }
        max.launchbrowser(fileUrl(folder));
    },

    /** Copies results to the chosen folder, one after the other, and calls `then(copied, notes)`; what cannot be copied stays where it is. */
    keep(made, then) {
        if (!this.folder) {
            then(made, []);
            return;
        }
        const [copied, notes] = [[], []];
        const next = () => {
            if (copied.length === made.length) {
                state.changed();
                then(copied, Array.from(new Set(notes)));
                return;
            }
            const one = made[copied.length];
            copyFile(one.path, this.folder, (path) => {
                copied.push(path ? { ...one, path } : one);
                if (!path) {
                    notes.push("A result could not be copied to your folder; it is in the daemon's");
                }
                next();
            });
        };
        next();
    },
};

/** Copies a file into a folder under a name that is free there, in turns; calls `then` with the path of the copy, or with empty text. */
function copyFile(path, folder, then) {
    const source = new File(maxPath(path), "read");
    const target = source.isopen ? freePath(folder, fileName(path)) : "";
    const length = source.isopen ? source.eof : 0;
    const copy = target && length > 0 && length <= LARGEST_COPY ? new File(maxPath(target), "write") : null;
    if (!copy || !copy.isopen) {
        if (source.isopen) {
            source.close();
        }
        then("");
        return;
    }
    let done = 0;
    const turn = () => {
        for (let chunk = 0; chunk < CHUNKS_A_TURN && done < length; chunk += 1) {
            const bytes = source.readbytes(Math.min(CHUNK, length - done)) || [];
            if (!bytes.length) {
                break;
            }
            copy.writebytes(bytes);
            done += bytes.length;
        }
        const stuck = source.position < done || copy.position < done;
        if (done < length && !stuck && done > turn.before) {
            turn.before = done;
            clock.later(turn, 1);
            return;
        }
        source.close();
        copy.close();
        then(done === length && sizeOf(target) === length ? target : "");
    };
    turn.before = -1;
    clock.later(turn);
}

/** A path in a folder that no file has; empty text where a thousand are taken. */
function freePath(folder, name) {
    const ending = /\.[^.]*$/.exec(name) ? /\.[^.]*$/.exec(name)[0] : "";
    for (let number = 1; number < 1000; number += 1) {
        const path = joined(folder, number === 1 ? name : `${stem(name)} ${number}${ending}`);
        if (!exists(path)) {
            return path;
        }
    }
    return "";
}

link.welcomed.listen(() => results.show());

state.add({
    save: () => ({ folder: results.folder, made: results.made }),
    restore({ folder, made }) {
        results.folder = isAbsolute(folder) ? folder : "";
        results.made = listOf(made).filter((one) => one && isAbsolute(one.path)).slice(0, MOST_TAKES).map(savedSound);
    },
    sounds: () => results.made.map((one) => one.sound),
    show() {
        const there = results.made.filter((made) => exists(made.path));
        if (there.length) {
            audition.load(there);
        }
        results.show();
    },
});

module.exports = { results };
