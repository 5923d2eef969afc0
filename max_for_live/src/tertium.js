// Tertium for Max for Live: the script of the device, for Max's [v8]. One inlet, four outlets; ../interface.json is the table
// of what passes through them. It speaks OSC with a Tertium daemon on this machine, reads clips from Live, and puts results there.
//
// Sections: words · text, numbers, paths · time · panel · wire · requests · link · jobs · Live · clips · slots · placing ·
// audition · window · checkpoints · results folder · memory · deadline · messages.
//
// Rules of the house: nothing is written to Live from an observer (there are none: what is needed is read when it is needed), no
// id of Live's is kept longer than one turn (but a Simpler's, for one more look at it), no clip is overwritten or deleted, nothing is posted to the console, and what takes
// long is done in turns.

inlets = 1;
outlets = 4;
autowatch = 0;

// --- words: made from the daemon's command table by words.py ------------------------------------------------------------------

// begin words
const PROTOCOL = "1.4";
const COMMANDS = {
    hello: ["client", "protocol", "reply_port"],
    status: [],
    commands: ["command"],
    subscribe: ["seconds"],
    add_sound: ["path", "name", "start", "end", "seconds", "markers"],
    sound: ["sound"],
    sounds: ["limit", "offset"],
    models: [],
    checkpoints: [],
    import_checkpoint: ["path", "name"],
    export_checkpoint: ["checkpoint", "path"],
    rename_checkpoint: ["checkpoint", "name"],
    delete_checkpoint: ["checkpoint"],
    learn: ["reference", "prompt", "name", "method", "steps", "batch", "seconds", "rank", "rate", "null_dropout", "ema", "seed", "format"],
    preview: ["job", "steps", "seed", "format", "name"],
    generate: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "prompt", "reference", "seconds", "guidance"],
    vary: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "prompt", "strength", "guidance", "loop"],
    invert: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "anchor", "reconstruct_from"],
    fuse: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "blend", "intervention", "hold", "anchor", "guidance", "loop"],
    morph: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "count", "hold", "anchor", "guidance", "loop"],
    window: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "points", "hold", "anchor", "guidance"],
    job: ["job"],
    jobs: ["limit", "offset", "state"],
    cancel: ["job"],
    allow: ["path"],
    shutdown: [],
};
const EVENTS = ["reply", "item", "part", "accepted", "progress", "take", "done", "failed", "cancelled", "error"];
const MOST_PARTS = 1024;
const MOST_INCOMPLETE = 64;
const LONGEST_PROMPT = 2000;
const LARGEST_DATAGRAM = 32768;
// end words

const PREFIX = "/tertium/";
const DAEMON_PORT = 7700;
const COMMAND = "tertium serve";
const LEAST_LIVE = [12, 2];
const SIMPLER_LIVE = [12, 4];

const TO_DAEMON = 0;
const TO_ANSWERS = 1;
const TO_PANEL = 2;
const TO_AUDIO = 3;

const MOST_TAKES = 8;
const CURVE_POINTS = 64;

// --- text, numbers, paths ------------------------------------------------------------------------------------------------------

/** A finite number from an atom, or from the text in which OSC carries what it has no type for; else `otherwise`. */
function number(value, otherwise) {
    const found = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    return typeof found === "number" && isFinite(found) ? found : otherwise;
}

function has(object, name) {
    return Object.prototype.hasOwnProperty.call(object, name);
}

function within(value, low, high) {
    return Math.min(high, Math.max(low, value));
}

/** Text of one line that a panel can show. */
function line(value, longest) {
    const text = String(value === undefined || value === null ? "" : value).replace(/\s+/g, " ").trim();
    const letters = Array.from(text);
    return letters.length > longest ? letters.slice(0, longest - 1).join("") + "…" : text;
}

/** A list that OSC carries as JSON, or the list itself; nothing that is no list. */
function listOf(value) {
    if (Array.isArray(value)) {
        return value;
    }
    try {
        const found = JSON.parse(value);
        return Array.isArray(found) ? found : [];
    } catch (problem) {
        return [];
    }
}

function seconds(value) {
    return value >= 60 ? `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")} min` : `${value.toFixed(2)} s`;
}

function sentence(text) {
    const told = line(text, 200);
    return told && !/[.!?…”]$/.test(told) ? told + "." : told;
}

/** What the daemon takes as the name of a sound: part of a file's name on every system. */
function plainName(text) {
    const plain = String(text).replace(/[/\\:*?"<>|]/g, "-").replace(/[\p{C}\u2028\u2029]/gu, "");
    return Array.from(plain.replace(/^[. ]+/, "")).slice(0, 100).join("").replace(/[. ]+$/, "");
}

function onWindows(path) {
    return /^[A-Za-z]:[/\\]/.test(path) || /^\\\\/.test(path);
}

function isAbsolute(path) {
    return typeof path === "string" && path.length < 4097 && (path.charAt(0) === "/" || onWindows(path));
}

/** Max's form of a path (`Macintosh HD:/Users/…`, `C:/…`) as the system and the daemon write it. */
function systemPath(path) {
    const found = /^([^/\\]{2,}?):(\/.*)$/.exec(path);
    if (!found) {
        return path;
    }
    const onBootVolume = /^\/(Users|Applications|Library|Volumes|private|tmp|var|opt|usr|home)(\/|$)/.test(found[2]);
    return onBootVolume ? found[2] : `/Volumes/${found[1]}${found[2]}`;
}

/** A path as Max's own objects take it: with slashes, on Windows too. */
function maxPath(path) {
    return onWindows(path) ? path.replace(/\\/g, "/") : path;
}

function samePath(one, other) {
    const plain = (path) => maxPath(systemPath(path)).normalize("NFC");
    return onWindows(one) ? plain(one).toLowerCase() === plain(other).toLowerCase() : plain(one) === plain(other);
}

function fileName(path) {
    return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

function stem(path) {
    return fileName(path).replace(/\.[^.]*$/, "");
}

function folderOf(path) {
    return path.slice(0, Math.max(0, path.lastIndexOf("/"), path.lastIndexOf("\\")));
}

function joined(folder, name) {
    const cut = folder.replace(/[/\\]+$/, "");
    return cut + (cut.includes("\\") ? "\\" : "/") + name;
}

function exists(path) {
    const file = new File(maxPath(path), "read");
    const there = Boolean(file.isopen);
    if (there) {
        file.close();
    }
    return there;
}

/** A colour between two, each 0xRRGGBB. */
function mixed(from, to, part) {
    const shade = (shift) => Math.round(((from >> shift) & 255) * (1 - part) + ((to >> shift) & 255) * part) << shift;
    return shade(16) | shade(8) | shade(0);
}

// --- time: one clock that ticks, and turns of their own for what is long -----------------------------------------------------------

const TICK = 100; // ms
const clock = { now: 0, task: null, turns: new Set() };

/** Runs a function, and shows its mistakes in the panel instead of the console. */
function guarded(run) {
    try {
        run();
    } catch (problem) {
        panel.fail(`A mistake in the device: ${line(problem && problem.message, 120)} Please report it.`);
    }
}

/** In a turn of its own, after whatever runs now. */
function later(run, wait) {
    const task = new Task(function () {
        clock.turns.delete(task);
        guarded(run);
    });
    clock.turns.add(task);
    task.schedule(wait || 0);
}

function startClock() {
    clock.task = new Task(function () {
        clock.now += TICK;
        guarded(tick);
    });
    clock.task.interval = TICK;
    clock.task.repeat();
}

function stopClock() {
    if (clock.task) {
        clock.task.cancel();
        clock.task = null;
    }
    clock.turns.forEach((task) => task.cancel());
    clock.turns.clear();
}

function tick() {
    requests.tick();
    link.tick();
    jobs.tick();
    memory.tick();
}

// --- panel -------------------------------------------------------------------------------------------------------------------------

const LONGEST_TOLD = 300; // characters

const panel = {
    shown: new Map(),

    /** Shows text; the same text is not sent again. */
    say(target, text) {
        const told = line(text, LONGEST_TOLD) || " ";
        if (this.shown.get(target) !== told) {
            this.shown.set(target, told);
            outlet(TO_PANEL, target, "set", told);
        }
    },

    show(target, ...values) {
        const told = values.join(" ");
        if (this.shown.get(target) !== told) {
            this.shown.set(target, told);
            outlet(TO_PANEL, target, ...values);
        }
    },

    status(text) {
        this.say("status_text", text);
    },

    /** What is wrong, and what to do. It stays until something is asked for. */
    fail(text) {
        this.error = text;
        this.say("error_text", text || link.trouble);
    },

    notes(texts) {
        this.say("note_text", texts.map(sentence).filter(Boolean).join(" "));
    },

    progress(job) {
        this.show("progress", job ? job.fraction : 0);
        if (!job) {
            this.say("progress_text", "");
        } else {
            const left = job.left === null ? "" : ` · ${job.left < 10 ? job.left.toFixed(1) : Math.round(job.left)} s`;
            this.say("progress_text", (job.stage || (job.job ? "waiting" : "asking")) + left);
        }
    },

    error: "",
};

// --- wire: OSC as [udpsend] and [udpreceive] carry it -------------------------------------------------------------------------------

const wire = {
    session: "live-" + Math.random().toString(36).slice(2, 12),
    counter: 0,
    incomplete: new Map(),

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

    /** What a datagram says, {event, id, fields}; null while parts are missing, and for whatever is no answer. */
    read(address, atoms) {
        const event = address.startsWith(PREFIX) ? address.slice(PREFIX.length) : "";
        const pairs = EVENTS.includes(event) ? this.pairs(atoms.slice(1)) : null;
        if (pairs === null) {
            return null;
        }
        const id = atoms.length && atoms[0] !== "" ? atoms[0] : null;
        if (event === "part") {
            return this.part(id, pairs);
        }
        return this.answer(event, id, pairs);
    },

    answer(event, id, pairs) {
        const fields = nested(pairs);
        return fields === null ? null : { event, id, fields };
    },

    pairs(atoms) {
        const pairs = new Map();
        for (let at = 0; at < atoms.length; at += 2) {
            if (at + 1 >= atoms.length || !FIELD.test(String(atoms[at])) || pairs.has(atoms[at])) {
                return null;
            }
            pairs.set(atoms[at], atoms[at + 1]);
        }
        return pairs;
    },

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
        const whole = this.together(came, parts);
        return whole === null ? null : this.answer(event, id, whole);
    },

    /** The pairs of all parts; a name that comes again continues its text. */
    together(came, parts) {
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
    },
};

const FIELD = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*){0,8}$/;

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

/** The words of an error event, and what to do. */
function told(fields) {
    const message = sentence(fields.message) || "The daemon refused, and did not say why.";
    return `${message} ${sentence(fields.remedy)}`.trim();
}

// --- requests: immediate commands, sent again until they are answered ------------------------------------------------------------------

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 32000;
const MOST_ITEMS = 2000;

const requests = {
    open: new Map(),

    /**
     * Asks, and calls `then(event, fields, items)` once: with `reply` or `error`, or with `silence` when nothing came in `patience` ms. It is
     * asked again after `wait` ms, then after twice as long, and so on: what costs the daemon work is not to be asked for twice in haste.
     */
    ask(command, fields, then, patience, wait) {
        if (this.open.size >= 64) {
            then("silence", {}, []);
            return;
        }
        const id = wire.id();
        const asked = { command, fields, then, until: clock.now + (patience || 6000), wait: wait || FIRST_WAIT, items: new Map() };
        asked.next = clock.now + asked.wait;
        this.open.set(id, asked);
        wire.send(command, id, fields);
    },

    /** Whether an answer was to one of these. */
    take(answer) {
        const asked = this.open.get(answer.id);
        if (!asked) {
            return false;
        }
        if (answer.event === "item" && asked.items.size < MOST_ITEMS) {
            asked.items.set(answer.fields.index, answer.fields);
        } else if (answer.event === "reply" || answer.event === "error") {
            const count = number(answer.fields.count, 0);
            if (answer.event === "reply" && count > asked.items.size && count <= MOST_ITEMS) {
                return true; // an item was lost: the clock asks again
            }
            this.open.delete(answer.id);
            const items = Array.from(asked.items.values()).sort((one, other) => one.index - other.index);
            asked.then(answer.event, answer.fields, items);
        }
        return true;
    },

    tick() {
        this.open.forEach((asked, id) => {
            if (clock.now >= asked.until) {
                this.open.delete(id);
                asked.then("silence", {}, []);
            } else if (clock.now >= asked.next) {
                asked.wait = Math.min(asked.wait * 2, LONGEST_WAIT);
                asked.next = clock.now + asked.wait;
                wire.send(asked.command, id, asked.fields);
            }
        });
    },
};

// --- link: whether the daemon is there, and where ----------------------------------------------------------------------------------------

const HEARTBEAT = 2000;
const GONE_AFTER = 5000;
const REPLY_PORTS = [21000, 29999];

const link = {
    port: DAEMON_PORT,
    reply: 0,
    heard: -1, // when the daemon last answered us
    next: 0,
    hellos: [], // ids of the last ones that were sent
    greetings: 0, // unanswered so far
    home: "",
    version: "",
    trouble: "",
    strays: 0,
    state: "",
    model: "",
    begun: false,

    begin() {
        this.begun = true;
        outlet(TO_DAEMON, "maxpacketsize", LARGEST_DATAGRAM);
        outlet(TO_DAEMON, "host", "127.0.0.1");
        this.again();
    },

    /** Looks for the daemon anew. */
    again() {
        this.heard = -1;
        this.greetings = 0;
        this.choosePorts();
        this.greet();
        this.light();
    },

    choosePorts() {
        const known = memory.port || daemons.port() || DAEMON_PORT;
        this.port = this.greetings % 4 === 2 && !memory.port ? DAEMON_PORT : known;
        do {
            this.reply = REPLY_PORTS[0] + Math.floor(Math.random() * (REPLY_PORTS[1] - REPLY_PORTS[0] + 1));
        } while (this.reply === this.port); // a device that talks to itself would never end
        this.strays = 0;
        outlet(TO_ANSWERS, "port", this.reply);
        outlet(TO_DAEMON, "port", this.port);
    },

    greet() {
        const id = wire.id();
        this.hellos = [...this.hellos, id].slice(-8);
        this.next = clock.now + (this.greetings ? HEARTBEAT : FIRST_WAIT);
        wire.send("hello", id, { client: "Tertium for Live", protocol: PROTOCOL, reply_port: this.reply });
    },

    there() {
        return this.heard >= 0 && clock.now - this.heard < GONE_AFTER;
    },

    tick() {
        if (!this.begun || clock.now < this.next) {
            return;
        }
        if (this.there()) {
            this.next = clock.now + HEARTBEAT;
            requests.ask("status", {}, (event, fields) => event === "reply" && this.stands(fields), HEARTBEAT);
        } else {
            this.heard = -1;
            this.greetings += 1;
            if (this.greetings % 2 === 0) {
                this.choosePorts(); // another program may have ours, or the daemon another than we thought
            }
            this.greet();
        }
        this.light();
    },

    /** Whether an answer was to one of our greetings. */
    take(answer) {
        if (!this.hellos.includes(answer.id)) {
            return false;
        }
        if (answer.event === "reply") {
            this.welcome(answer.fields);
        } else if (answer.event === "error") {
            this.trouble = told(answer.fields);
            this.light();
        }
        return true;
    },

    welcome(fields) {
        const protocol = String(fields.protocol || "");
        if (protocol.split(".")[0] !== PROTOCOL.split(".")[0]) {
            this.trouble = `The daemon speaks protocol ${line(protocol, 16) || "of no version"}, this device ${PROTOCOL}. Update the older of the two.`;
            this.heard = -1;
            this.light();
            return;
        }
        this.greetings = 0;
        this.heard = clock.now;
        this.version = line(fields.version, 20);
        if (isAbsolute(fields.home)) {
            this.home = fields.home;
            memory.changed();
        }
        this.stands(fields);
        results.show();
        jobs.sendAgain();
        checkpoints.ask();
    },

    /** What a `hello` or a `status` says of the daemon. */
    stands(fields) {
        const known = ["loading", "ready", "busy", "failed", "stopping"].includes(fields.state);
        this.state = known ? fields.state : "ready";
        const device = fields.device ? ` · ${line(fields.device, 8)}` : "";
        if (fields.model && (fields.device || !this.model)) {
            this.model = line(fields.model, 40) + device;
        }
        panel.say("model_text", this.model);
        this.trouble = this.state === "failed" ? sentence(fields.message) || "The daemon has no model; its log says why." : "";
        this.light();
    },

    light() {
        const here = this.there();
        if (!here && this.greetings >= 2 && !this.trouble) {
            this.trouble = `No daemon answers on port ${this.port}. Start it in a terminal: ${COMMAND}`;
        }
        const ready = here && ["ready", "busy"].includes(this.state);
        panel.show("light", ready ? 2 : here || this.greetings < 2 ? 1 : 0);
        panel.say("error_text", panel.error || this.trouble);
    },

    /** An answer to nobody here: to another device that has the same port, if it goes on. */
    stray(answer) {
        const ours = typeof answer.id === "string" && answer.id.startsWith(wire.session);
        if (!ours) {
            this.strays += 1;
            if (this.strays > 20) {
                this.choosePorts();
                this.greet();
            }
        }
    },
};

/** Where a daemon's `daemon.json` may lie, and the port that it names. */
const daemons = {
    port() {
        for (const home of this.homes()) {
            const said = this.read(joined(home, "daemon.json"));
            const osc = said && Array.isArray(said.osc) ? said.osc : [];
            const port = number(osc[1], 0);
            if (["127.0.0.1", "::1", "localhost"].includes(osc[0]) && Number.isInteger(port) && port > 0 && port < 65536) {
                return port;
            }
        }
        return 0;
    },

    /** The last known home, and the usual one of each user whose files we have seen. */
    homes() {
        const seen = [this.patcherPath(), slots.original.path, slots.reference.path].filter(Boolean).map(systemPath);
        const usual = seen.map((path) => this.usual(maxPath(path))).filter(Boolean);
        return Array.from(new Set([link.home, ...usual].filter(Boolean)));
    },

    patcherPath() {
        return this.patcher || "";
    },

    usual(path) {
        const mac = /^\/Users\/[^/]+/.exec(path);
        const windows = /^[A-Za-z]:\/Users\/[^/]+/.exec(path);
        const linux = /^\/home\/[^/]+/.exec(path);
        if (windows) {
            return windows[0] + "/AppData/Local/tertium";
        }
        return mac ? mac[0] + "/Library/Application Support/tertium" : linux ? linux[0] + "/.local/share/tertium" : "";
    },

    read(path) {
        const file = new File(maxPath(path), "read");
        if (!file.isopen) {
            return null;
        }
        const text = file.readstring(8192);
        file.close();
        try {
            return JSON.parse(text);
        } catch (problem) {
            return null;
        }
    },
};

// --- jobs: what takes time ---------------------------------------------------------------------------------------------------------------

const SILENT_AFTER = 5000;
const LATE_AFTER = 3000;
const MOST_JOBS = 32;

const jobs = {
    open: new Map(),
    recent: [],

    /** Asks for a queued command. `about` is what is to be remembered of the request when its result comes; plain values only. */
    submit(command, fields, about) {
        if (this.open.size >= MOST_JOBS) {
            panel.fail("This device waits for many jobs already. Cancel some, or wait.");
            return;
        }
        const job = this.opened(wire.id(), command, fields, about);
        wire.send(command, job.id, fields);
        panel.fail("");
        panel.status(`${about.label} is asked for.`);
        panel.progress(job);
        memory.changed();
    },

    opened(id, command, fields, about) {
        const job = {
            id, command, fields, about, job: "", fraction: 0, stage: "", left: null, cancelled: false,
            begun: clock.now, heard: clock.now, next: clock.now + FIRST_WAIT, tries: 0, reopened: false,
        };
        this.open.set(id, job);
        return job;
    },

    /** The newest job that goes on. */
    foremost() {
        const open = Array.from(this.open.values());
        return open.reverse().find((job) => job.stage !== "paused") || open[0] || null;
    },

    /** After the daemon was away: the same ids are the same jobs, and their events come again. */
    sendAgain() {
        this.open.forEach((job) => this.sendOneAgain(job));
    },

    /** A deadline that was accepted is not asked for anew: it counts from the request's arrival. */
    sendOneAgain(job) {
        if (job.fields.deadline && job.job) {
            requests.ask("job", { job: job.job }, (event, fields) => this.stands(job, event, fields), SILENT_AFTER);
        } else {
            wire.send(job.command, job.id, job.fields);
        }
    },

    take(answer) {
        const job = this.open.get(answer.id);
        if (!job) {
            return this.recent.includes(answer.id);
        }
        job.heard = clock.now;
        const handle = this.events[answer.event];
        if (handle) {
            handle.call(this, job, answer.fields);
        }
        panel.progress(this.foremost());
        return true;
    },

    events: {
        accepted(job, fields) {
            const first = job.job === "";
            job.job = line(fields.job, 64);
            job.stage = job.stage || "waiting";
            if (first && job.job) {
                const steps = number(fields.steps, 0);
                const seed = number(fields.seed, -1);
                const facts = [job.about.label, steps && `${steps} steps`, seed >= 0 && `seed ${seed}`, job.about.by];
                panel.status(facts.filter(Boolean).join(" · "));
                memory.changed();
            }
            if (job.cancelled) {
                this.cancelJob(job);
            }
        },

        progress(job, fields) {
            job.fraction = Math.max(job.fraction, within(number(fields.fraction, 0), 0, 1));
            job.stage = line(fields.stage, 24) || job.stage;
            const left = number(fields.seconds_left, -1);
            job.left = left >= 0 ? left : null;
        },

        take(job, fields) {
            if (job.command === "morph" && isAbsolute(fields.path)) {
                audition.take(job, fields);
            }
        },

        done(job, fields) {
            const made = isAbsolute(fields.path) && typeof fields.sound === "string" && number(fields.seconds, 0) > 0;
            this.close(job);
            if (made) {
                finished(job, fields);
            } else {
                panel.fail("The daemon says that it is done, but not with what. Its folder of results may tell.");
            }
        },

        failed(job, fields) {
            this.close(job);
            panel.fail(told(fields));
            panel.status(`${job.about.label} failed.`);
        },

        error(job, fields) {
            this.close(job);
            panel.fail(told(fields));
            panel.status(`${job.about.label} was refused.`);
        },

        cancelled(job, fields) {
            this.close(job);
            const reason = String(fields.reason || "");
            const why = reason.includes(wire.session) ? "A newer one took its place." : sentence(reason);
            panel.status(`${job.about.label} was cancelled. ${job.cancelled ? "" : why}`);
            if (job.command === "learn") {
                checkpoints.ask();
            }
        },
    },

    close(job) {
        this.open.delete(job.id);
        this.recent = [...this.recent, job.id].slice(-64);
        memory.changed();
    },

    tick() {
        this.open.forEach((job) => {
            if (job.fields.deadline && job.job === "" && clock.now - job.begun >= LATE_AFTER) {
                this.close(job);
                panel.fail("The daemon did not answer, and the deadline is too near now. Try again.");
                panel.progress(this.foremost());
            } else if (link.there() && clock.now >= job.next) {
                this.pursue(job);
            }
        });
    },

    /** Sends a request again that was not accepted, and asks after a job that has fallen silent. */
    pursue(job) {
        job.tries += 1;
        if (job.job === "") {
            job.next = clock.now + (job.tries < 5 ? FIRST_WAIT : SILENT_AFTER);
            wire.send(job.command, job.id, job.fields);
        } else if (clock.now - job.heard >= SILENT_AFTER) {
            job.next = clock.now + SILENT_AFTER;
            requests.ask("job", { job: job.job }, (event, fields) => this.stands(job, event, fields), SILENT_AFTER);
        } else {
            job.next = clock.now + FIRST_WAIT;
        }
    },

    /** What `job` says of one that was silent. */
    stands(job, event, fields) {
        if (!this.open.has(job.id)) {
            return;
        }
        if (event === "reply") {
            job.heard = clock.now;
            const ends = {
                done: ["done", fields.result], failed: ["failed", fields.error],
                cancelled: ["cancelled", { reason: fields.reason }],
            };
            const [end, what] = has(ends, fields.state) ? ends[fields.state] : ["progress", fields];
            this.take({ id: job.id, event: end, fields: what || {} });
        } else if (event === "error" && fields.code === "unknown_job" && job.fields.deadline) {
            this.close(job);
            panel.fail(`The daemon lost ${job.about.label.toLowerCase()}, and its deadline is over. Ask for it again.`);
            panel.progress(this.foremost());
        } else if (event === "error" && fields.code === "unknown_job") {
            job.job = ""; // the same request makes it anew
        }
    },

    cancel() {
        const job = Array.from(this.open.values()).reverse().find((candidate) => !candidate.cancelled);
        if (!job) {
            panel.status("There is nothing to cancel.");
            return;
        }
        job.cancelled = true;
        panel.status(`${job.about.label}: cancelling.`);
        if (job.job) {
            this.cancelJob(job);
        } else if (!link.there()) {
            this.close(job);
            panel.status(`${job.about.label} was cancelled before the daemon knew of it.`);
            panel.progress(this.foremost());
        }
    },

    cancelJob(job) {
        requests.ask("cancel", { job: job.job }, (event, fields) => {
            if (event === "error") {
                panel.fail(told(fields));
            } else if (event === "silence") {
                job.cancelled = false;
                panel.fail("The daemon did not answer to Cancel. Press it again.");
            }
        });
    },
};

/** What the daemon says of an original that is a loop: in Live that is what one expects, and no remark. */
const CLOSES = "original: its ends meet: made to loop";

/** What is done with a result. */
function finished(job, fields) {
    const about = job.about;
    const made = {
        sound: fields.sound, path: fields.path, seconds: number(fields.seconds, 0), name: about.name,
        beats: beatsOf(about, number(fields.seconds, 0)), warpMode: about.warpMode, color: about.color || 0, row: number(about.row, -1),
        notes: listOf(fields.notes).map((note) => line(note, 120)).filter((note) => note !== CLOSES),
    };
    if (job.command === "learn") {
        checkpoints.learned(fields, made);
    } else if (job.command === "window") {
        curve.measured(job, fields);
        results.last([made]);
        audition.single(made);
        panel.notes(made.notes);
    } else {
        const takes = job.command === "morph" ? takesOf(job, fields, made) : [made];
        keepAndPlace(takes, job);
    }
    memory.changed();
}

function takesOf(job, fields, made) {
    const about = job.about;
    return listOf(fields.takes)
        .filter((take) => take && isAbsolute(take.path) && number(take.blend, -1) >= 0)
        .slice(0, MOST_TAKES)
        .map((take, index) => ({
            ...made, sound: String(take.sound), path: take.path, blend: within(take.blend, 0, 1),
            name: `${about.name} ${index + 1}`, color: mixed(about.colors[0], about.colors[1], within(take.blend, 0, 1)),
        }));
}

/** The beats that a result of these seconds fills, as its original did; null where it follows no tempo. */
function beatsOf(about, length) {
    return about.beats && about.seconds ? (about.beats * length) / about.seconds : null;
}

function keepAndPlace(takes, job) {
    if (!takes.length) {
        panel.fail("The daemon says that the morph is done, but names no takes. Its folder of results may tell.");
        return;
    }
    results.keep(takes, (kept, notes) => {
        results.last(kept);
        audition.load(kept);
        const more = [...notes, ...kept[0].notes];
        if (job.reopened) {
            panel.status(`${job.about.label} was finished while the set was closed. Place puts it into the set.`);
            panel.notes(more);
        } else {
            putIntoSet(kept, job.about.destination, more);
        }
    });
}

// --- Live: the Live Object Model, with its quirks in one place -----------------------------------------------------------------------------

const live = {
    ready: false,

    /** An object by its path or id; null where there is none. */
    at(place) {
        if (!this.ready) {
            return null;
        }
        const found = new LiveAPI(typeof place === "number" ? `id ${place}` : place);
        return Number(found.id) > 0 ? found : null;
    },

    /** The value of a property: get() gives arrays. */
    value(object, property) {
        const found = object.get(property);
        return Array.isArray(found) ? found[0] : found;
    },

    number(object, property) {
        return number(this.value(object, property), 0);
    },

    text(object, property) {
        const found = object.get(property);
        const text = Array.isArray(found) ? found.join(" ") : String(found);
        return text.replace(/^"(.*)"$/, "$1");
    },

    /** The ids of a list of children, or of a single one. */
    ids(object, property) {
        const found = object.get(property);
        const atoms = Array.isArray(found) ? found : [found];
        return atoms.filter((atom) => atom !== "id").map(Number).filter((id) => id > 0);
    },

    child(object, property) {
        const ids = this.ids(object, property);
        return ids.length ? this.at(ids[0]) : null;
    },

    version() {
        const app = this.at("live_app");
        const part = (name) => number([].concat(app.call(name))[0], 0);
        return app !== null ? [part("get_major_version"), part("get_minor_version")] : [0, 0];
    },

    atLeast(version) {
        const [major, minor] = this.version();
        return major > version[0] || (major === version[0] && minor >= version[1]);
    },

    /** The track that the device is on, through whatever racks. */
    ownTrack() {
        let object = this.at("this_device");
        for (let depth = 0; object && depth < 16; depth += 1) {
            object = this.child(object, "canonical_parent");
            if (object && object.type === "Track") {
                return object;
            }
        }
        return null;
    },

    song() {
        return this.at("live_set");
    },

    /** Runs what writes to Live as one step of undo, where Live says that it has such steps. */
    oneStep(run) {
        const song = this.song();
        const known = song !== null && ["begin_undo_step", "end_undo_step"].every((name) => String(song.info).includes(name));
        if (known) {
            song.call("begin_undo_step");
        }
        try {
            return run();
        } finally {
            if (known) {
                song.call("end_undo_step");
            }
        }
    },

    tempo() {
        const song = this.song();
        return within(song ? this.number(song, "tempo") : 120, 20, 999) || 120;
    },
};

// --- clips: which part of a file sounds, and how long ----------------------------------------------------------------------------------------

/** The clip that is shown in Live's clip view, else that of the highlighted slot; null where there is none. */
function selectedClip() {
    const shown = live.at("live_set view detail_clip");
    if (shown) {
        return shown;
    }
    const slot = live.at("live_set view highlighted_clip_slot");
    return slot && live.number(slot, "has_clip") ? live.child(slot, "clip") : null;
}

/** A clip's warp markers, [{beat, second}], in order; the last one only gives the tempo after the one before it. */
function warpMarkers(clip) {
    const said = dictionary(clip.get("warp_markers"));
    const markers = said && Array.isArray(said.warp_markers) ? said.warp_markers : [];
    return markers
        .map((marker) => ({ beat: number(marker.beat_time, NaN), second: number(marker.sample_time, NaN) }))
        .filter((marker) => isFinite(marker.beat) && isFinite(marker.second))
        .sort((one, other) => one.beat - other.beat);
}

/** A dictionary of Live's: as JSON, as an object, or as the name of a Dict. Null for whatever is none. */
function dictionary(found) {
    const [first, name] = Array.isArray(found) ? found : [found];
    if (first && typeof first === "object") {
        return first;
    }
    try {
        return JSON.parse(first === "dictionary" ? new Dict(name).stringify() : String(first));
    } catch (problem) {
        return null;
    }
}

const SLOWEST = 2; // BPM

/** Where Live does not list a clip's markers: the places of two beats, as markers. */
function markersAt(clip, from, to) {
    const places = [from, to].map((beat) => number([].concat(clip.call("beat_to_sample_time", beat))[0], NaN));
    const inSeconds = ((to - from) * 60) / (places[1] - places[0]) >= SLOWEST; // documentation does not say in what they are: samples would be very slow
    const rate = inSeconds ? 1 : live.number(clip, "sample_rate") || 44100;
    return [from, to].map((beat, at) => ({ beat, second: places[at] / rate })).filter((marker) => isFinite(marker.second));
}

/** A place on the straight lines through markers, from one of their fields to the other; beyond both ends the lines go on. */
function along(markers, from, to, value) {
    let at = 0;
    while (at < markers.length - 2 && value >= markers[at + 1][from]) {
        at += 1;
    }
    const [one, other] = [markers[at], markers[at + 1]];
    return one[to] + ((value - one[from]) * (other[to] - one[to])) / (other[from] - one[from]);
}

/**
 * What there is to know of an audio clip: {name, path, start, end, seconds, beats, pairs, …}. `start` and `end` are seconds of the file, `seconds`
 * is how long that part sounds, `pairs` what of it sounds when; what cannot be taken along is said in `notes`. `problem` is a sentence where
 * it cannot be taken at all.
 */
function readClip(clip) {
    if (!live.number(clip, "is_audio_clip")) {
        return { problem: "That is a MIDI clip. Select an audio clip, or freeze and flatten its track." };
    }
    const path = live.text(clip, "file_path");
    if (!isAbsolute(systemPath(path))) {
        return { problem: "That clip has no file yet. Wait until it is recorded, or save the set." };
    }
    const looping = live.number(clip, "looping") === 1;
    const [first, last] = looping ? ["loop_start", "loop_end"] : ["start_marker", "end_marker"];
    const warped = live.number(clip, "warping") === 1;
    const markers = warped ? warpMarkers(clip) : [];
    const read = {
        path: systemPath(path), name: line(live.text(clip, "name"), 100) || stem(path), color: live.number(clip, "color"),
        file: live.number(clip, "sample_length") / (live.number(clip, "sample_rate") || 44100),
        row: rowOf(clip), warpMode: warped ? live.number(clip, "warp_mode") : null, notes: leftBehind(clip, warped),
    };
    const from = live.number(clip, first);
    const to = live.number(clip, last);
    if (!(to > from)) {
        return { problem: "That clip has no length between its markers. Set them apart." };
    }
    if (!warped) {
        return plainPart(read, from, to);
    }
    const known = markers.length > 1 ? markers : markersAt(clip, from, to);
    return known.length > 1 && known[1].second > known[0].second ? warpedPart(read, known, from, to)
        : { problem: "Live does not say how that clip is warped. Consolidate it, or turn its Warp off." };
}

function plainPart(read, from, to) {
    const start = Math.max(0, from);
    const end = read.file > 0 ? Math.min(to, read.file) : to;
    if (end - start < to - from - 0.001) {
        read.notes.push("The clip's markers lie beyond its file; what the file has is taken");
    }
    return { ...read, start, end, seconds: end - start, beats: wholeBeats(end - start), warped: false };
}

function warpedPart(read, markers, from, to) {
    const beatsOfFile = [0, read.file || Infinity].map((second) => along(markers, "second", "beat", second));
    const first = Math.max(from, beatsOfFile[0]);
    const last = Math.min(to, beatsOfFile[1]);
    if (last - first < to - from - 0.001) {
        read.notes.push("The clip's markers lie beyond its file; what the file has is taken, so the loop is shorter");
    }
    const beats = last - first;
    const length = (beats * 60) / live.tempo();
    const [start, end] = [first, last].map((beat) => within(along(markers, "beat", "second", beat), 0, read.file || Infinity));
    const inner = markers.slice(0, -1).filter((marker) => marker.beat > first && marker.beat < last)
        .map((marker) => [marker.second, ((marker.beat - first) / beats) * length]);
    const pairs = bends([start, 0], inner, [end, length]);
    const off = unevenness(pairs, inner);
    if (off > 0.003) {
        read.notes.push(`Some of its warp markers are too many or too close together: up to ${Math.round(off * 1000)} ms off`);
    }
    return { ...read, start, end, seconds: length, beats, warped: true, pairs };
}

const CLOSEST_MARKERS = 0.006; // s: the daemon wants 5 ms between two
const MOST_MARKERS = 500; // the daemon takes 512
const EVEN = 0.001; // s: markers that are off a straight line by less bend nothing

/**
 * The pairs of a second of the file and the second at which it sounds that a part is to be warped by: its two ends alone where all
 * between them lies on their line, else with as many of the inner ones as the daemon takes.
 */
function bends(begin, inner, end) {
    if (unevenness([begin, end], inner) <= EVEN) {
        return [begin, end];
    }
    const apart = (one, other) => Math.abs(one[0] - other[0]) >= CLOSEST_MARKERS && Math.abs(one[1] - other[1]) >= CLOSEST_MARKERS;
    const every = Math.ceil(inner.length / MOST_MARKERS);
    const kept = [begin];
    inner.filter((pair, at) => at % every === 0).forEach((pair) => {
        if (apart(pair, kept[kept.length - 1]) && apart(pair, end)) {
            kept.push(pair);
        }
    });
    return [...kept, end];
}

/** By how many seconds the worst of some markers is off the lines through pairs. */
function unevenness(pairs, inner) {
    return inner.map((pair) => Math.abs(along(pairs, 0, 1, pair[0]) - pair[1])).reduce((worst, off) => Math.max(worst, off), 0);
}

/** What Live does to a clip's sound and the file does not have. */
function leftBehind(clip, warped) {
    const notes = [];
    const pitch = live.number(clip, "pitch_coarse") + live.number(clip, "pitch_fine") / 100;
    if (pitch) {
        notes.push(`The clip is transposed by ${pitch > 0 ? "+" : ""}${pitch.toFixed(2).replace(/\.?0+$/, "")} semitones in Live; its file's pitch is taken`);
    }
    const gain = live.text(clip, "gain_display_string");
    if (gain && !/^[-+]?0([.,]0+)? *dB$/.test(gain)) {
        notes.push(`The clip's gain of ${gain} in Live is not taken along`);
    }
    if (warped && live.number(clip, "warp_mode") === 3) {
        notes.push("Re-Pitch changes the clip's pitch with the tempo; its file's pitch is taken");
    }
    return notes;
}

/** The number of beats, where a length at this tempo is a whole one to within 10 ms; else null. */
function wholeBeats(length) {
    const tempo = live.tempo();
    const nearest = Math.round((length * tempo) / 60);
    return nearest >= 1 && Math.abs((nearest * 60) / tempo - length) < 0.01 ? nearest : null;
}

/** The row of a session clip in its track, -1 for one of the arrangement. */
function rowOf(clip) {
    const slot = live.child(clip, "canonical_parent");
    const track = slot && slot.type === "ClipSlot" ? live.child(slot, "canonical_parent") : null;
    return track ? live.ids(track, "clip_slots").indexOf(Number(slot.id)) : -1;
}

// --- slots: original and reference ----------------------------------------------------------------------------------------------------------

const ADD_PATIENCE = 120000;
const ADD_WAIT = 2000;
const PIECE_WAIT = 60; // ms more for each marker: every piece is stretched by itself
const EMPTY_SLOT = "Take a clip, or drop a file";
const LEAST_STRETCH = 0.0005; // s: what is nearer than that is taken as it is

/** The fields of add_sound that say which part of a file is meant, and how it sounds; none for the whole of it as it is. */
function partOf(read) {
    if (read.pairs && read.pairs.length > 2) {
        const exact = (value) => Math.round(value * 1e5) / 1e5;
        return { markers: JSON.stringify(read.pairs.map((pair) => pair.map(exact))) };
    }
    const cut = read.start > LEAST_STRETCH || (read.file > 0 && read.end < read.file - LEAST_STRETCH);
    const stretched = Math.abs(read.end - read.start - read.seconds) > LEAST_STRETCH;
    const part = cut || stretched ? { start: read.start, end: read.end } : {};
    return stretched ? { ...part, seconds: read.seconds } : part;
}

function emptySlot() {
    return { id: "", name: "", path: "", seconds: 0, beats: null, warpMode: null, color: 0, row: -1, notes: [], waiting: 0 };
}

const slots = {
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

    takeResult(which) {
        const made = results.made[0];
        if (!made) {
            panel.fail("There is no result yet. Press Fuse first.");
            return;
        }
        panel.fail("");
        this.turn += 1;
        this[which] = { ...emptySlot(), ...keptSound(made), id: made.sound };
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
                : told(said));
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
        panel.say(`${which}_length`, slot.id ? beats + seconds(slot.seconds) : "");
        if (slot.path) {
            outlet(TO_AUDIO, "slot_wave", which, maxPath(slot.path));
        }
        curve.pairChanged();
        memory.changed();
    },
};

// --- asking for fusions, morphs, windows, learnings ------------------------------------------------------------------------------------------

const knobs = {
    blend: 0.5, hold: 0.2, steps: 50, order: 3, solver: "sde", seed: -1, by_next: "off", destination: "slot", count: 5,
    prompt: "", checkpoint: "none",
};

const COLORS = { original: 0xe8833a, reference: 0x3a7fc1 };

/** The prompt, where it leads: a reference that is a sound leads without one. */
function leadingPrompt() {
    return knobs.checkpoint !== "none" || !slots.reference.id ? knobs.prompt : "";
}

/** The pair of a fusion, or null where it lacks something, which is then said. */
function pair() {
    const { original, reference } = slots;
    const learned = knobs.checkpoint !== "none";
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

/** Asks for a fusion of the pair, in one of its three forms. */
function askFor(command, own, label) {
    const found = pair();
    if (!found) {
        return;
    }
    const by = command === "window" ? null : deadline();
    const { original, reference } = slots;
    const colors = [reference.color || COLORS.reference, original.color || COLORS.original];
    const percent = command === "fuse" ? ` ${Math.round(knobs.blend * 100)} %` : "";
    const fields = {
        ...found.fields, ...own, hold: knobs.hold, steps: knobs.steps, order: knobs.order, eta: knobs.solver === "ode" ? 0 : 1,
        seed: knobs.seed >= 0 ? knobs.seed : undefined, slot: `${wire.session}-${command}`, deadline: by ? by.seconds : undefined,
    };
    jobs.submit(command, fields, {
        label, name: found.name + percent, seconds: original.seconds, beats: original.beats, warpMode: original.warpMode,
        color: mixed(colors[0], colors[1], knobs.blend), colors, row: original.row, destination: knobs.destination,
        by: by ? by.told : "", pair: curve.key(),
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
    jobs.submit("learn", fields, { label: `Learning ${reference.name}`, name: `${reference.name} learned`, seconds: 0, beats: null });
}

// --- placing: into the set, never over anything ------------------------------------------------------------------------------------------------

/** Puts results where they are wanted, in a turn of its own; says what it did, after reading it back. */
function putIntoSet(made, destination, notes) {
    later(() => {
        memory.flush(); // before the clips: each change is a step of undo, and the newest is to be the clip
        const put = { slot: placeInSlots, arrangement: placeInArrangement, simpler: placeInSimpler, audition: placeNowhere }[destination];
        const outcome = live.oneStep(() => put(made));
        if (outcome.problem) {
            panel.status(`${made[0].name} is finished, but not placed. Place tries again.`);
            panel.fail(outcome.problem);
            later(() => outcome.late && panel.error === outcome.problem && outcome.late(), LOOKS[0]);
        } else {
            panel.status(outcome.told);
            LOOKS.forEach((wait) => outcome.rows && later(() => lookAgain(made, outcome, notes), wait));
        }
        tellNotes(outcome, notes);
    });
}

function tellNotes(outcome, notes) {
    panel.notes(Array.from(new Set([...(outcome.loose ? outcome.loose.values() : []), ...outcome.notes, ...notes])));
}

function placeNowhere(made) {
    return { told: `${made[0].name} is ready: press Audition.`, notes: [] };
}

/** Why a track takes no audio clips; empty where it does. */
function refusal(track) {
    if (!track) {
        return "The device is on no track of the set.";
    }
    if (live.number(track, "is_foldable")) {
        return "A group track holds no clips. Move the device to an audio track, or choose Audition.";
    }
    if (!live.ids(track, "clip_slots").length) {
        return "This track holds no clips. Move the device to an audio track, or choose Audition.";
    }
    if (!live.number(track, "has_audio_input")) {
        return "A MIDI track holds no audio clips. Move the device to an audio track, or choose Simpler or Audition.";
    }
    return live.number(track, "is_frozen") ? "This track is frozen. Unfreeze it, and press Place." : "";
}

function placeInSlots(made) {
    const track = live.ownTrack();
    const problem = refusal(track) || (live.atLeast(LEAST_LIVE) ? "" : oldLive(LEAST_LIVE));
    if (problem) {
        return { problem, notes: [] };
    }
    const rows = emptyRows(track, made.length, made[0].row);
    if (!rows) {
        return { problem: "The track has no empty slot, and Live added no scene. Empty a slot, and press Place.", notes: [] };
    }
    const loose = new Map(); // by number: why a clip that is to be warped is not
    for (let index = 0; index < made.length; index += 1) {
        const clip = createClip(track, rows[index], made[index]);
        if (!clip) {
            const problem = `Live did not take ${fileName(made[index].path)} into slot ${rows[index] + 1}. Drag it from the results.`;
            return { problem, notes: [], loose };
        }
        dress(clip, made[index], index, loose);
    }
    const name = live.text(track, "name");
    const where = made.length > 1 ? `slots ${rows[0] + 1} to ${rows[rows.length - 1] + 1}` : `slot ${rows[0] + 1}`;
    return { told: `${made[0].name} is in ${where} of ${name}.`, notes: [], rows, loose };
}

function oldLive(needed) {
    const [major, minor] = live.version();
    return `This needs Live ${needed.join(".")} or later; here runs ${major}.${minor}.`;
}

/**
 * The rows of the next `count` empty slots in succession below a row; at the end of the set, with scenes added where they are missing; and where
 * Live adds none, from the top. Null where there are none.
 */
function emptyRows(track, count, after) {
    const taken = live.ids(track, "clip_slots").map(slotTaken);
    const first = firstRun(taken, count, within(after + 1, 0, taken.length));
    const added = addScenes(track, first + count - taken.length);
    const begin = added ? first : firstRun(taken, count, 0);
    return added || begin + count <= taken.length ? Array.from({ length: count }, (_, index) => begin + index) : null;
}

/** Where `count` free places in succession begin, at or after `from`; the last may lie beyond the end. */
function firstRun(taken, count, from) {
    let first = from;
    for (let row = from; row < taken.length && row - first < count; row += 1) {
        first = taken[row] ? row + 1 : first;
    }
    return first;
}

/** Adds scenes at the end; false as soon as Live adds none. */
function addScenes(track, missing) {
    for (let more = 0; more < missing; more += 1) {
        const before = live.ids(track, "clip_slots").length;
        live.song().call("create_scene", -1);
        if (live.ids(track, "clip_slots").length <= before) {
            return false;
        }
    }
    return true;
}

function slotTaken(id) {
    const slot = live.at(id);
    return !slot || live.number(slot, "has_clip") === 1;
}

/** Makes a clip in an empty slot and reads it back; null where Live made none. */
function createClip(track, row, made) {
    const slot = live.at(live.ids(track, "clip_slots")[row]);
    if (!slot || live.number(slot, "has_clip")) {
        return null;
    }
    slot.call("create_audio_clip", made.path);
    const clip = live.number(slot, "has_clip") ? live.child(slot, "clip") : null;
    return clip && samePath(live.text(clip, "file_path"), made.path) ? clip : null;
}

/** Names, colours and warps a clip of ours. */
function dress(clip, made, index, loose) {
    clip.set("name", made.name);
    if (made.color) {
        clip.set("color", made.color);
    }
    lay(clip, made, index, loose);
}

/** Warps a clip onto its beats, or leaves it unwarped where it has none; `loose` keeps what did not come out as wanted. */
function lay(clip, made, index, loose) {
    const problem = made.beats ? warp(clip, made) : "";
    loose.delete(index);
    if (!made.beats || problem) {
        clip.set("looping", 0);
        clip.set("warping", 0);
        if (problem) {
            loose.set(index, problem);
        }
    }
}

const LOOKS = [1500, 5000]; // ms after placing

/**
 * Live analyses a new file in its own time, and may lay warp markers of its own over ours when it has done so. Clips are looked at again therefore:
 * one that is warped otherwise now, or could not be warped at first, is warped again; one whose Warp was turned off since is left alone.
 */
function lookAgain(made, outcome, notes) {
    const track = live.ownTrack();
    if (!track || live.number(track, "is_frozen")) {
        return;
    }
    const slots = live.ids(track, "clip_slots");
    const before = outcome.loose.size;
    const mends = [];
    made.forEach((one, index) => {
        const slot = outcome.rows[index] < slots.length ? live.at(slots[outcome.rows[index]]) : null;
        const clip = slot ? live.child(slot, "clip") : null;
        const asWeLeftIt = clip && isOurs(clip, one) && live.number(clip, "warping") === (outcome.loose.has(index) ? 0 : 1);
        if (asWeLeftIt && (outcome.loose.has(index) || !isEven(warpMarkers(clip), one))) {
            mends.push(() => lay(clip, one, index, outcome.loose));
        }
    });
    (outcome.copied ? live.ids(track, "arrangement_clips") : []).map((id) => live.at(id)).filter(Boolean).forEach((copy) => {
        const one = made.find((candidate) => isOurs(copy, candidate));
        if (one && live.number(copy, "warping") === 1 && !isEven(warpMarkers(copy), one)) {
            mends.push(() => pin(copy, one));
        }
    });
    if (mends.length) {
        live.oneStep(() => mends.forEach((mend) => mend()));
    }
    if (outcome.loose.size !== before && results.made === made) {
        tellNotes(outcome, notes);
    }
}

function isOurs(clip, made) {
    return Boolean(made.beats) && samePath(live.text(clip, "file_path"), made.path);
}

const WARP_MODES = [0, 1, 2, 3, 4, 6]; // all but REX, which is for files of its own

/** Warps a clip evenly onto its beats and loops it; returns a sentence where Live did otherwise. */
function warp(clip, made) {
    clip.set("warping", 1);
    if (live.number(clip, "warping") !== 1) {
        return "Live does not warp this clip, so it plays unwarped";
    }
    if (WARP_MODES.includes(made.warpMode)) {
        clip.set("warp_mode", made.warpMode);
    }
    pin(clip, made);
    if (!isEven(warpMarkers(clip), made)) {
        return "Live kept warp markers of its own, so the clip is left unwarped: it sounds right, but does not follow the tempo";
    }
    setLoop(clip, made.beats);
    const length = live.number(clip, "loop_end") - live.number(clip, "loop_start");
    return Math.abs(length - made.beats) < 0.001 ? "" : `Live made the loop ${Number(length.toFixed(3))} beats long instead of ${made.beats}, so it is left unwarped`;
}

/** Lays a clip's first warp marker and one at the end of the file on one line, and takes away those that Live made between. */
function pin(clip, made) {
    if (isEven(warpMarkers(clip), made)) {
        return;
    }
    const end = Math.min(made.seconds, live.number(clip, "sample_length") / (live.number(clip, "sample_rate") || 44100));
    const beatOf = (second) => (made.beats * second) / made.seconds;
    warpMarkers(clip).slice(1, -1).slice(0, 256).forEach((marker) => clip.call("remove_warp_marker", marker.beat));
    const [first] = warpMarkers(clip);
    if (first && Math.abs(first.beat - beatOf(first.second)) > 1e-6) {
        clip.call("move_warp_marker", first.beat, beatOf(first.second) - first.beat); // Live takes no second one at its place or beat
    }
    [end, end / 2].some((second) => addMarker(clip, beatOf(second), second));
    const rest = warpMarkers(clip).slice(1, -1).filter((marker) => Math.abs(marker.beat - beatOf(marker.second)) > 0.001);
    rest.slice(0, 8).forEach((marker) => clip.call("remove_warp_marker", marker.beat));
}

/** Adds a warp marker and looks whether it is there. Live takes the dictionary as an object, or else as a Dict. */
function addMarker(clip, beat, second) {
    const there = () => warpMarkers(clip).slice(0, -1)
        .some((marker) => Math.abs(marker.second - second) < 0.0005 && Math.abs(marker.beat - beat) < 0.001);
    clip.call("add_warp_marker", { beat_time: beat, sample_time: second });
    if (!there()) {
        const marker = new Dict();
        marker.set("beat_time", beat);
        marker.set("sample_time", second);
        clip.call("add_warp_marker", marker);
    }
    return there();
}

/** Whether markers lay a file evenly on its beats, to within a millisecond. */
function isEven(markers, made) {
    if (markers.length < 2) {
        return false;
    }
    const corners = [0, made.beats, ...markers.map((marker) => marker.beat).filter((beat) => beat > 0 && beat < made.beats)];
    return corners.every((beat) => Math.abs(along(markers, "beat", "second", beat) - (beat * made.seconds) / made.beats) < 0.001);
}

/** Loop and markers over a clip's beats, in an order in which no end comes before its start. */
function setLoop(clip, beats) {
    clip.set("looping", 1);
    clip.set("loop_start", 0);
    clip.set("loop_end", beats);
    clip.set("start_marker", 0);
    clip.set("end_marker", beats);
}

/** By way of the Session, where a clip can be dressed before it is copied; the Session's clip stays. */
function placeInArrangement(made) {
    const outcome = placeInSlots(made);
    if (outcome.problem) {
        return outcome;
    }
    const track = live.ownTrack();
    const song = live.song();
    const tempo = live.tempo();
    const notes = outcome.notes;
    const playhead = live.number(song, "current_song_time");
    let time = playhead;
    let begun = -1;
    for (let index = 0; index < made.length; index += 1) {
        const slot = live.at(live.ids(track, "clip_slots")[outcome.rows[index]]);
        const clip = slot ? live.child(slot, "clip") : null;
        const length = made[index].beats || (made[index].seconds * tempo) / 60;
        const free = firstGap(track, time, length);
        if (!clip || !copyTo(track, clip, free)) {
            return { problem: `Live did not copy ${made[index].name} to the arrangement. ${outcome.told}`, notes, loose: outcome.loose };
        }
        begun = index === 0 ? free : begun;
        time = free + length;
    }
    if (begun > playhead + 0.001) {
        notes.push("Another clip is at the playhead, so it begins in the first gap after it");
    }
    const told = `${made[0].name} is in the arrangement at ${barOf(song, begun)}, and in the Session.`;
    return { told, notes, rows: outcome.rows, loose: outcome.loose, copied: true };
}

/** The first time from `from` on at which nothing of a track's arrangement is overlapped. */
function firstGap(track, from, length) {
    const clips = live.ids(track, "arrangement_clips").map((id) => live.at(id)).filter(Boolean)
        .map((clip) => ({ start: live.number(clip, "start_time"), end: live.number(clip, "end_time") }))
        .sort((one, other) => one.start - other.start);
    return clips.reduce((time, clip) => (clip.end > time + 0.0001 && clip.start < time + length - 0.0001 ? clip.end : time), from);
}

function copyTo(track, clip, time) {
    track.call("duplicate_clip_to_arrangement", `id ${clip.id}`, time);
    const starts = live.ids(track, "arrangement_clips").map((id) => live.at(id)).filter(Boolean)
        .filter((copy) => Math.abs(live.number(copy, "start_time") - time) < 0.001);
    return starts.length > 0;
}

function barOf(song, time) {
    const beats = (live.number(song, "signature_numerator") * 4) / (live.number(song, "signature_denominator") || 4) || 4;
    return `bar ${Math.floor(time / beats) + 1}`;
}

/** Into the Simpler that is selected, else the one on this track. */
function placeInSimpler(made) {
    if (!live.atLeast(SIMPLER_LIVE)) {
        return { problem: oldLive(SIMPLER_LIVE) + " Choose Slot, or drag the file into the Simpler.", notes: [] };
    }
    const simpler = findSimpler();
    if (!simpler) {
        return { problem: "There is no Simpler. Select one in Live, and press Place.", notes: [] };
    }
    const chosen = made[Math.floor(made.length / 2)];
    simpler.call("replace_sample", chosen.path);
    const told = `${chosen.name} is in ${live.text(simpler, "name")}.`;
    if (plays(simpler, chosen.path)) {
        return { told, notes: [] };
    }
    const id = Number(simpler.id);
    const late = () => { // Live may take the file in its own time
        const found = live.at(id);
        if (found && plays(found, chosen.path)) {
            panel.fail("");
            panel.status(told);
        }
    };
    return { problem: `The Simpler did not take ${fileName(chosen.path)}. Drag it from the results.`, notes: [], late };
}

function plays(simpler, path) {
    const sample = live.child(simpler, "sample");
    return sample !== null && samePath(live.text(sample, "file_path"), path);
}

function findSimpler() {
    const isSimpler = (device) => device && live.text(device, "class_name") === "OriginalSimpler";
    const selected = live.at("live_set view selected_track view selected_device");
    if (isSimpler(selected)) {
        return selected;
    }
    const track = live.ownTrack();
    const devices = track ? live.ids(track, "devices").map((id) => live.at(id)) : [];
    return devices.find(isSimpler) || null;
}

// --- audition: the last result, or takes between which blend fades ---------------------------------------------------------------------------

const audition = {
    takes: [], // by number: {path, blend, seconds} or null
    job: "",
    gains: [],
    on: 0,
    wanted: 0, // what the switch says; a set that is opened says it before there is anything to hear

    /** One take of a morph that is still being made. */
    take(job, fields) {
        const count = within(Math.round(number(fields.count, 2)), 2, MOST_TAKES);
        const index = Math.round(number(fields.index, 0));
        if (index < 1 || index > count) {
            return;
        }
        if (this.job !== job.id) {
            this.job = job.id;
            this.takes = Array(count).fill(null);
            this.length(number(fields.seconds, 0));
        }
        this.put(index, { path: fields.path, blend: within(number(fields.blend, 0), 0, 1) });
    },

    single(made) {
        this.load([made]);
    },

    load(made) {
        this.job = "";
        this.takes = Array(Math.min(made.length, MOST_TAKES)).fill(null);
        this.length(made[0].seconds);
        made.slice(0, MOST_TAKES).forEach((take, index) => this.put(index + 1, { path: take.path, blend: number(take.blend, 0) }));
    },

    length(value) {
        outlet(TO_AUDIO, "takes", this.takes.length, Math.max(1, value * 1000));
    },

    put(index, take) {
        this.takes[index - 1] = take;
        outlet(TO_AUDIO, "load", index, maxPath(take.path));
        this.fade();
        if (this.wanted && !this.on) {
            this.play(1);
        }
    },

    /**
     * Sends the gains: between the two takes next to the blend by straight lines. Neighbours are alike, so these sum to their level; gains of
     * equal power would sum to as much as 3 dB above the files.
     */
    fade() {
        const weights = Array(MOST_TAKES).fill(0);
        const loaded = this.takes.map((take, at) => ({ take, at })).filter((entry) => entry.take)
            .sort((one, other) => one.take.blend - other.take.blend);
        if (loaded.length) {
            const above = loaded.findIndex((entry) => entry.take.blend >= knobs.blend);
            if (loaded.length === 1 || above === 0) {
                weights[loaded[0].at] = 1;
            } else if (above < 0) {
                weights[loaded[loaded.length - 1].at] = 1;
            } else {
                const [low, high] = [loaded[above - 1], loaded[above]];
                const part = (knobs.blend - low.take.blend) / (high.take.blend - low.take.blend);
                weights[low.at] = 1 - part;
                weights[high.at] = part;
            }
        }
        weights.forEach((weight, at) => {
            if (this.gains[at] !== weight) {
                this.gains[at] = weight;
                outlet(TO_AUDIO, "gain", at + 1, weight);
            }
        });
    },

    play(on) {
        const possible = on && this.takes.some(Boolean) ? 1 : 0;
        this.wanted = possible || !live.ready ? on : 0;
        if (on && !possible && live.ready) {
            panel.fail("There is nothing to hear yet. Press Fuse or Morph first.");
            outlet(TO_PANEL, "control", "audition", 0);
        }
        this.on = possible;
        outlet(TO_AUDIO, "play", possible);
    },
};

// --- window: the measured curve of the pair -----------------------------------------------------------------------------------------------------

const curve = {
    of: "", // the pair that it was measured for
    original: [],
    reference: [],
    marks: [-1, -1, -1],

    key() {
        const leads = knobs.checkpoint !== "none" ? knobs.checkpoint : slots.reference.id;
        return JSON.stringify([slots.original.id, leads, leadingPrompt()]);
    },

    measured(job, fields) {
        const found = this.drawn(fields.window || {});
        if (!found) {
            panel.fail("The daemon measured the window, but its curve cannot be read. Update the older of the two.");
            return;
        }
        Object.assign(this, found, { of: job.about.pair });
        this.show();
        panel.status(`The window is measured. Equal likeness at blend ${this.marks[1].toFixed(2)}; Audition plays it.`);
    },

    /** A measured window as curves over blend; null where it is none. */
    drawn(window) {
        const ratios = listOf(window.ratios).map((ratio) => number(ratio, NaN));
        const points = listOf(window.points).filter((point) => point && typeof point === "object");
        if (ratios.length < 2 || points.length < 3 || !ratios.every((ratio) => ratio > 0)) {
            return null;
        }
        const placed = points.map((point, at) => ({
            blend: at === 0 ? 0 : at === points.length - 1 ? 1 : blendAt(ratios, number(point.noise_to_signal, NaN)),
            step: number(point.intervention, NaN),
            original: within(number(point.original, 0), 0, 1),
            reference: within(number(point.reference, 0), 0, 1),
        })).filter((point) => isFinite(point.blend)).sort((one, other) => one.blend - other.blend);
        const even = Array.from({ length: CURVE_POINTS }, (_, at) => at / (CURVE_POINTS - 1));
        const steps = placed.filter((point) => isFinite(point.step));
        return {
            original: even.map((blend) => between(placed, "blend", "original", blend)),
            reference: even.map((blend) => between(placed, "blend", "reference", blend)),
            marks: ["begin", "equilibrium", "end"].map((mark) => between(steps, "step", "blend", number(window[mark], NaN))),
        };
    },

    pairChanged() {
        this.show();
    },

    /** Draws the curve of the pair that is in the slots, and nothing for another. */
    show() {
        const known = this.of !== "" && this.of === this.key();
        const flat = Array(CURVE_POINTS).fill(0);
        panel.show("curve_original", ...(known ? this.original : flat));
        panel.show("curve_reference", ...(known ? this.reference : flat));
        this.position();
    },

    position() {
        const known = this.of !== "" && this.of === this.key();
        panel.show("marks", ...(known ? this.marks : [-1, -1, -1]), knobs.blend);
    },
};

/** The blend at a noise-to-signal ratio: ratios stand at evenly spaced blends, and fall. */
function blendAt(ratios, ratio) {
    if (!(ratio > 0)) {
        return NaN;
    }
    const levels = ratios.map((value, at) => ({ level: -Math.log(value), blend: at / (ratios.length - 1) }));
    return between(levels, "level", "blend", -Math.log(ratio));
}

/** A value on the straight lines through points, whose `from` never falls; beyond the ends, that of the end. NaN for none. */
function between(points, from, to, value) {
    if (!points.length || !isFinite(value)) {
        return -1;
    }
    const above = points.findIndex((point) => point[from] >= value);
    if (above <= 0) {
        return points[above < 0 ? points.length - 1 : 0][to];
    }
    const [low, high] = [points[above - 1], points[above]];
    return low[to] + ((value - low[from]) * (high[to] - low[to])) / (high[from] - low[from]);
}

// --- checkpoints ------------------------------------------------------------------------------------------------------------------------------------

const checkpoints = {
    names: [],

    all: [],
    shown: "",

    ask() {
        requests.ask("checkpoints", {}, (event, fields, items) => {
            if (event === "reply") {
                this.all = items.map((item) => line(item.name, 100)).filter(Boolean);
                this.names = items.filter((item) => item.usable !== 0).map((item) => line(item.name, 100)).filter(Boolean);
                this.forgetLost();
                this.show();
            }
        });
    },

    /** The name that a menu means: it says an item's words as atoms, so that `Kick, 1.50` comes as `Kick , 1.5`. */
    named(said) {
        const words = (name) => name.split(/[\s,;]+/).map((word) => (/^\d*\.?\d+$/.test(word) ? String(Number(word)) : word)).join(" ");
        return this.names.includes(said) ? said : this.names.find((name) => words(name) === words(said)) || said;
    },

    forgetLost() {
        if (knobs.checkpoint !== "none" && !this.names.includes(knobs.checkpoint)) {
            panel.fail(`The checkpoint ${knobs.checkpoint} is not there, or belongs to another model. The reference's own sound leads.`);
            knobs.checkpoint = "none";
            curve.pairChanged();
        }
    },

    show() {
        const names = ["none", ...this.names];
        if (names.join("\n") !== this.shown) {
            this.shown = names.join("\n");
            outlet(TO_PANEL, "checkpoints", "clear");
            names.forEach((name) => outlet(TO_PANEL, "checkpoints", "append", name));
        }
        outlet(TO_PANEL, "checkpoints", "setsymbol", knobs.checkpoint);
    },

    freeName(wanted) {
        const taken = new Set([...this.all, "none"]);
        jobs.open.forEach((job) => job.command === "learn" && taken.add(job.fields.name));
        let name = wanted;
        for (let number = 2; taken.has(name) && number < 1000; number += 1) {
            name = `${wanted.slice(0, 94)} ${number}`;
        }
        return name;
    },

    learned(fields, made) {
        const name = line(fields.checkpoint, 100);
        results.last([made]);
        audition.single(made);
        panel.status(`Learned as ${name}: choose it under Checkpoint. Audition plays what its prompt gives.`);
        panel.notes(made.notes);
        this.ask();
    },
};

// --- results folder: durable in the daemon's, or copied to one that the user chose ------------------------------------------------------------------

const CHUNK = 16384; // bytes that Max's File reads or writes in one call
const CHUNKS_A_TURN = 16;
const LARGEST_COPY = 512 * 1024 * 1024;

const results = {
    folder: "", // where copies go; empty for the daemon's own folder
    made: [], // the last results

    last(made) {
        this.made = made;
        memory.touched = true;
        memory.changed();
    },

    own() {
        return link.home ? joined(link.home, "results") : this.made.length ? folderOf(this.made[0].path) : "";
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
        memory.changed();
    },

    open() {
        const folder = this.folder || this.own();
        if (!folder) {
            panel.fail("The folder of the results is not known yet. Start the daemon first.");
            return;
        }
        max.launchbrowser((onWindows(folder) ? "file:///" : "file://") + encodeURI(maxPath(folder)));
    },

    /** Copies results to the chosen folder, one after the other, and calls `then(kept, notes)`; what cannot be copied stays where it is. */
    keep(made, then) {
        if (!this.folder) {
            then(made, []);
            return;
        }
        const [kept, notes] = [[], []];
        const next = () => {
            if (kept.length === made.length) {
                memory.changed();
                then(kept, Array.from(new Set(notes)));
                return;
            }
            const one = made[kept.length];
            copyFile(one.path, this.folder, (path) => {
                kept.push(path ? { ...one, path } : one);
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
            later(turn, 1);
            return;
        }
        source.close();
        copy.close();
        then(done === length && sizeOf(target) === length ? target : "");
    };
    turn.before = -1;
    later(turn);
}

function sizeOf(path) {
    const file = new File(maxPath(path), "read");
    const size = file.isopen ? file.eof : -1;
    if (file.isopen) {
        file.close();
    }
    return size;
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

// --- memory: what is kept with the set, in a hidden parameter ----------------------------------------------------------------------------------------

const MEMORY_WAIT = 500;
const LONGEST_MEMORY = 30000; // characters of a symbol

const memory = {
    given: "", // what came before the device was ready
    written: "",
    due: -1,
    port: 0,
    touched: false,

    /** Writes soon, but not before somebody did something: inserting the device or opening a set leaves the set as it is. */
    changed() {
        if (live.ready && this.touched && this.due < 0) {
            this.due = clock.now + MEMORY_WAIT;
        }
    },

    tick() {
        if (clock.now >= this.due) {
            this.flush();
        }
    },

    flush() {
        if (this.due >= 0) {
            this.due = -1;
            this.write();
        }
    },

    write() {
        const packed = (content) => encodeURIComponent(JSON.stringify(content)).replace(/'/g, "%27");
        const whole = packed(this.content());
        const text = whole.length <= LONGEST_MEMORY ? whole : packed({ ...this.content(), curve: null, jobs: [] });
        if (text !== this.written) {
            this.written = text;
            outlet(TO_PANEL, "memory", text);
        }
    },

    content() {
        const rounded = (values) => values.map((value) => Math.round(value * 1000) / 1000);
        return {
            schema: 1, port: this.port, home: link.home, folder: results.folder, prompt: knobs.prompt, checkpoint: knobs.checkpoint,
            original: { ...slots.original, waiting: 0 }, reference: { ...slots.reference, waiting: 0 }, made: results.made,
            curve: { of: curve.of, original: rounded(curve.original), reference: rounded(curve.reference), marks: rounded(curve.marks) },
            jobs: Array.from(jobs.open.values()).map((job) => ({
                id: job.id, command: job.command, fields: job.fields, about: job.about, job: job.job,
            })),
        };
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

    restore(text) {
        let kept = null;
        try {
            kept = JSON.parse(decodeURIComponent(text));
        } catch (problem) {
            kept = null;
        }
        if (!kept || kept.schema !== 1) {
            return;
        }
        this.port = this.port || portOr(kept.port, 0);
        link.home = isAbsolute(kept.home) ? kept.home : "";
        results.folder = isAbsolute(kept.folder) ? kept.folder : "";
        knobs.prompt = typeof kept.prompt === "string" ? kept.prompt : "";
        knobs.checkpoint = typeof kept.checkpoint === "string" ? kept.checkpoint : "none";
        results.made = listOf(kept.made).filter((made) => made && isAbsolute(made.path)).slice(0, MOST_TAKES).map(keptSound);
        this.restoreCurve(kept.curve || {});
        ["original", "reference"].forEach((which) => this.restoreSlot(which, kept[which]));
        listOf(kept.jobs).slice(0, MOST_JOBS).forEach((job) => this.restoreJob(job));
        this.shown();
    },

    restoreCurve(kept) {
        const lists = ["original", "reference", "marks"].map((name) => listOf(kept[name]).filter((value) => typeof value === "number"));
        if (typeof kept.of === "string" && lists.map((values) => values.length).join() === `${CURVE_POINTS},${CURVE_POINTS},3`) {
            Object.assign(curve, { of: kept.of, original: lists[0], reference: lists[1], marks: lists[2] });
        }
    },

    restoreSlot(which, kept) {
        if (kept && typeof kept.id === "string" && kept.id) {
            slots[which] = { ...emptySlot(), ...keptSound(kept), id: kept.id };
        }
    },

    restoreJob(kept) {
        if (kept && has(COMMANDS, kept.command) && typeof kept.id === "string" && kept.fields && kept.about && (kept.job || !kept.fields.deadline)) {
            const job = jobs.opened(kept.id, kept.command, kept.fields, kept.about);
            job.job = line(kept.job, 64);
            job.reopened = true;
        }
    },

    shown() {
        if (knobs.prompt) {
            panel.say("prompt_text", knobs.prompt);
        }
        ["original", "reference"].forEach((which) => {
            const path = slots[which].path;
            slots[which].path = path && exists(path) ? path : "";
            slots.show(which);
        });
        const heard = results.made.filter((made) => exists(made.path));
        if (heard.length) {
            audition.load(heard);
        }
        results.show();
    },
};

/** A sound or a result as it was remembered, each field of the kind that it must have. */
function keptSound(kept) {
    const known = (value) => (typeof value === "number" && isFinite(value) ? value : null);
    return {
        sound: line(kept.sound, 64), name: typeof kept.name === "string" ? line(kept.name, 100) : "", path: isAbsolute(kept.path) ? kept.path : "",
        seconds: known(kept.seconds) || 0, beats: known(kept.beats), warpMode: known(kept.warpMode), color: known(kept.color) || 0,
        row: number(known(kept.row), -1), blend: known(kept.blend) || 0, notes: listOf(kept.notes).map((note) => line(note, 120)),
    };
}

function portOr(value, otherwise) {
    const port = number(value, 0);
    return Number.isInteger(port) && port > 0 && port < 65536 ? port : otherwise;
}

// --- deadline: by the next bars ------------------------------------------------------------------------------------------------------------------------

const PLACING = 0.15; // s that are left for making the clip
const SHORTEST = 0.5; // s: nearer bars cannot be meant

/** Seconds to the next multiple of so many bars, and words for it; null for none. */
function deadline() {
    const bars = number(knobs.by_next, 0);
    const song = bars ? live.song() : null;
    if (!song) {
        return null;
    }
    const length = (bars * live.number(song, "signature_numerator") * 4) / (live.number(song, "signature_denominator") || 4) || bars * 4;
    const beat = 60 / live.tempo();
    if (!live.number(song, "is_playing")) {
        return { seconds: within(length * beat - PLACING, 0.05, 3600), told: `within ${bars} bar${bars > 1 ? "s" : ""}` };
    }
    const time = live.number(song, "current_song_time");
    let next = (Math.floor(time / length + 1e-9) + 1) * length;
    if ((next - time) * beat - PLACING < SHORTEST) {
        next += length;
    }
    return { seconds: within((next - time) * beat - PLACING, 0.05, 3600), told: `by ${barOf(song, next)}` };
}

// --- messages: what the patcher says ---------------------------------------------------------------------------------------------------------------------

const handlers = {
    original_clip: () => slots.takeClip("original"),
    original_result: () => slots.takeResult("original"),
    original_drop: (atoms) => slots.takeFile("original", atoms.join(" ")),
    reference_clip: () => slots.takeClip("reference"),
    reference_result: () => slots.takeResult("reference"),
    reference_drop: (atoms) => slots.takeFile("reference", atoms.join(" ")),

    fuse: () => askFor("fuse", { blend: knobs.blend }, "Fusing"),
    morph: () => askFor("morph", { count: knobs.count }, "Morphing"),
    window: () => askFor("window", {}, "Measuring the window"),
    learn: () => askToLearn(),
    cancel: () => jobs.cancel(),
    place() {
        if (!results.made.length) {
            panel.fail("There is no result yet. Press Fuse first.");
            return;
        }
        panel.fail("");
        putIntoSet(results.made, knobs.destination, []);
    },

    again() {
        panel.fail("");
        link.trouble = "";
        link.again();
    },
    copy_command() {
        outlet(TO_PANEL, "command_text", "set", COMMAND);
        outlet(TO_PANEL, "command_text", "select");
        panel.status(`The command is selected: press ${max.os === "windows" ? "Ctrl" : "Cmd"}-C, and paste it into a terminal.`);
    },
    show_results: () => results.open(),
    choose_results: (atoms) => results.choose(atoms.join(" ")),

    blend(atoms) {
        knobs.blend = within(number(atoms[0], knobs.blend), 0, 1);
        audition.fade();
        curve.position();
    },
    hold: (atoms) => setNumber("hold", atoms, 0, 1),
    steps: (atoms) => setNumber("steps", atoms, 1, 500, true),
    order: (atoms) => setNumber("order", atoms, 1, 3, true),
    solver: (atoms) => setWord("solver", atoms, ["sde", "ode"]),
    seed: (atoms) => setNumber("seed", atoms, -1, 2147483647, true),
    by_next: (atoms) => setWord("by_next", atoms, ["off", "1", "2", "4", "8"]),
    destination: (atoms) => setWord("destination", atoms, ["slot", "arrangement", "simpler", "audition"]),
    count: (atoms) => setNumber("count", atoms, 2, MOST_TAKES, true),
    audition: (atoms) => audition.play(number(atoms[0], 0) ? 1 : 0),
    prompt(atoms) {
        knobs.prompt = Array.from(atoms.join(" ").trim()).slice(0, LONGEST_PROMPT).join("");
        curve.pairChanged();
        memory.changed();
    },
    checkpoint(atoms) {
        knobs.checkpoint = checkpoints.named(atoms.join(" ").trim()) || "none";
        curve.pairChanged();
        memory.changed();
    },

    live_ready: () => begin(),
    memory: (atoms) => memory.came(atoms.join(" ")),
    daemon(atoms) {
        memory.port = portOr(atoms[0], 0);
        memory.changed();
        if (live.ready) {
            link.again();
        }
    },
    forget: () => stopClock(),
};

/** What asks for something, as against what sets a knob or the stage. */
const ASKING = [
    "original_clip", "original_result", "original_drop", "reference_clip", "reference_result", "reference_drop", "fuse", "morph", "window",
    "learn", "cancel", "place", "again", "show_results", "choose_results",
];

function setNumber(name, atoms, low, high, whole) {
    const value = within(number(atoms[0], knobs[name]), low, high);
    knobs[name] = whole ? Math.round(value) : value;
}

function setWord(name, atoms, words) {
    const word = String(atoms[0]);
    if (words.includes(word)) {
        knobs[name] = word;
    }
}

function begin() {
    if (live.ready) {
        return; // a second bang, as when a device is moved
    }
    live.ready = true;
    if (memory.given) {
        guarded(() => memory.restore(memory.given)); // whatever is wrong with it, the device begins
    }
    ["original", "reference"].forEach((which) => slots.show(which));
    checkpoints.names = knobs.checkpoint === "none" ? [] : [knobs.checkpoint];
    checkpoints.show();
    panel.status(live.atLeast(LEAST_LIVE) ? "Take an original and a reference, and press Fuse." : oldLive(LEAST_LIVE));
    startClock();
    link.begin();
}

/** An answer of the daemon, or whatever else came to our port. */
function heard(address, atoms) {
    if (address.startsWith(PREFIX) && has(COMMANDS, address.slice(PREFIX.length))) {
        link.choosePorts(); // our own words: we hear ourselves
        return;
    }
    const answer = wire.read(address, atoms);
    if (!answer) {
        return;
    }
    if (link.take(answer) || requests.take(answer) || jobs.take(answer)) {
        link.heard = link.heard >= 0 ? clock.now : link.heard;
    } else {
        link.stray(answer);
    }
}

/** The only function that Max calls for messages: no other here has the name of one. */
function anything() {
    const [selector, ...atoms] = arrayfromargs(messagename, arguments);
    daemons.patcher = daemons.patcher || (this.patcher && this.patcher.filepath) || "";
    guarded(() => {
        if (String(selector).charAt(0) === "/") {
            heard(selector, atoms);
        } else if (has(handlers, selector)) {
            if (ASKING.includes(selector) && !live.ready) {
                return; // Live is not there yet
            }
            memory.touched = memory.touched || (live.ready && [...ASKING, "prompt", "checkpoint", "daemon"].includes(selector));
            handlers[selector](atoms);
        }
    });
}

function notifydeleted() {
    stopClock();
}
