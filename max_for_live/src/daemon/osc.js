// Requests and answers as OSC: as the atoms that [udpsend] takes and [udpreceive] gives. ../../../protocol/PROTOCOL.md has the rules.

const { COMMANDS, EVENTS, MOST_INCOMPLETE, MOST_PARTS } = require("./protocol");
const { TO_DAEMON } = require("../lib/outlets");
const { has, sentence } = require("../lib/text");

const PREFIX = "/tertium/";
const FIELD = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,8}$/;

const osc = {
    session: "live-" + Math.random().toString(36).slice(2, 12),
    counter: 0,
    incomplete: new Map(), // answers of which parts are missing

    id() {
        this.counter += 1;
        return `${this.session}-${this.counter}`;
    },

    /** The atoms of a request. A field that the command table does not have is a mistake of this script. */
    atoms(command, id, fields) {
        const atoms = [PREFIX + command, id];
        Object.keys(fields).forEach((name) => {
            if (!COMMANDS[command].includes(name)) {
                throw new Error(`${command} has no field ${name}.`);
            }
            if (fields[name] !== undefined && fields[name] !== null) {
                atoms.push(name, fields[name]);
            }
        });
        return atoms;
    },

    send(command, id, fields) {
        outlet(TO_DAEMON, ...this.atoms(command, id, fields));
    },

    /** Whether an address is that of a request, such as we send and never get. */
    isRequest(address) {
        return address.startsWith(PREFIX) && has(COMMANDS, address.slice(PREFIX.length));
    },

    /** What a datagram says, {event, id, fields}; null while parts are missing, and for whatever is no answer. */
    read(address, atoms) {
        const event = address.startsWith(PREFIX) ? address.slice(PREFIX.length) : "";
        const pairs = EVENTS.includes(event) ? pairsOf(atoms.slice(1)) : null;
        if (pairs === null) {
            return null;
        }
        const id = atoms.length && atoms[0] !== "" ? atoms[0] : null;
        return event === "part" ? this.part(id, pairs) : answer(event, id, pairs);
    },

    /** Takes one part; gives the answer once all are there. */
    part(id, pairs) {
        const head = ["event", "key", "part", "parts"].map((name) => pairs.get(name));
        const [event, , part, parts] = head;
        const numbered = Number.isInteger(part) && Number.isInteger(parts) && part >= 0 && part < parts && parts <= MOST_PARTS;
        if (!numbered || !EVENTS.includes(event) || event === "part") {
            return null;
        }
        ["event", "key", "part", "parts"].forEach((name) => pairs.delete(name));
        const place = JSON.stringify([typeof id, id, head[0], head[1], parts]);
        const came = this.incomplete.get(place) || new Map();
        this.incomplete.set(place, came);
        came.set(part, pairs);
        if (came.size < parts) {
            if (this.incomplete.size > MOST_INCOMPLETE) {
                this.incomplete.delete(this.incomplete.keys().next().value);
            }
            return null;
        }
        this.incomplete.delete(place);
        const whole = together(came, parts);
        return whole === null ? null : answer(event, id, whole);
    },
};

function answer(event, id, pairs) {
    const fields = nested(pairs);
    return fields === null ? null : { event, id, fields };
}

/** Names and values, each name once; null for atoms that are no such pairs. */
function pairsOf(atoms) {
    const pairs = new Map();
    for (let at = 0; at < atoms.length; at += 2) {
        if (at + 1 >= atoms.length || !FIELD.test(String(atoms[at])) || pairs.has(atoms[at])) {
            return null;
        }
        pairs.set(atoms[at], atoms[at + 1]);
    }
    return pairs;
}

/** The pairs of all parts; a name that comes again continues its text. */
function together(came, parts) {
    const whole = new Map();
    for (let number = 0; number < parts; number += 1) {
        for (const [name, value] of came.get(number)) {
            const before = whole.get(name);
            if (before !== undefined && (typeof before !== "string" || typeof value !== "string")) {
                return null;
            }
            whole.set(name, before === undefined ? value : before + value);
        }
    }
    return whole;
}

/** Pairs as objects: `result.path` is the path of the result. Null where a name is both a value and an object. */
function nested(pairs) {
    const whole = Object.create(null);
    for (const [name, value] of pairs) {
        const steps = name.split(".");
        const last = steps.pop();
        let inner = whole;
        for (const step of steps) {
            inner[step] = step in inner ? inner[step] : Object.create(null);
            inner = inner[step];
            if (typeof inner !== "object") {
                return null;
            }
        }
        if (last in inner) {
            return null;
        }
        inner[last] = value;
    }
    return whole;
}

/** What an error event says went wrong, and what to do. */
function errorText(fields) {
    const message = sentence(fields.message) || "The daemon refused, and did not say why.";
    return `${message} ${sentence(fields.remedy)}`.trim();
}

module.exports = { osc, errorText };
