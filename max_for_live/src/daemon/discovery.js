// Where the daemon's `daemon.json` may lie, and the port that it names.

const { isAbsolute, joined, maxPath, systemPath } = require("../lib/paths");
const { number } = require("../lib/text");

const MOST_CHARACTERS = 8192;

const discovery = {
    home: "", // the last known one
    patcherPath: "",
    hints: [],

    /** Registers a function that gives paths of the user's files: the daemon's usual home is in the same user's folder. */
    hint(paths) {
        this.hints.push(paths);
    },

    knows(home) {
        this.home = isAbsolute(home) ? home : this.home;
    },

    /** The port that a daemon says it listens on; 0 where none says so. */
    port() {
        for (const home of this.homes()) {
            const facts = factsIn(joined(home, "daemon.json"));
            const osc = facts && Array.isArray(facts.osc) ? facts.osc : [];
            const port = portOr(osc[1], 0);
            if (["127.0.0.1", "::1", "localhost"].includes(osc[0]) && port) {
                return port;
            }
        }
        return 0;
    },

    /** The last known home, and the usual one of each user whose files we have seen. */
    homes() {
        const seen = [this.patcherPath, ...this.hints.flatMap((paths) => paths())].filter(Boolean).map(systemPath);
        const usual = seen.map((path) => usualHome(maxPath(path)));
        return Array.from(new Set([this.home, ...usual].filter(Boolean)));
    },
};

/** The daemon's home, unless it was given another, of the user in whose folder a path is; empty text where it is in none. */
function usualHome(path) {
    const mac = /^\/Users\/[^/]+/.exec(path);
    const windows = /^[A-Za-z]:\/Users\/[^/]+/.exec(path);
    const linux = /^\/home\/[^/]+/.exec(path);
    if (windows) {
        return windows[0] + "/AppData/Local/tertium";
    }
    return mac ? mac[0] + "/Library/Application Support/tertium" : linux ? linux[0] + "/.local/share/tertium" : "";
}

function factsIn(path) {
    const file = new File(maxPath(path), "read");
    if (!file.isopen) {
        return null;
    }
    const text = file.readstring(MOST_CHARACTERS);
    file.close();
    try {
        return JSON.parse(text);
    } catch (problem) {
        return null;
    }
}

function portOr(value, otherwise) {
    const port = number(value, 0);
    return Number.isInteger(port) && port > 0 && port < 65536 ? port : otherwise;
}

module.exports = { discovery, usualHome, portOr };
