// A device without its patcher: the shipped script in a [v8], [udpsend] and [udpreceive] over real sockets, what the panel would show, and
// daemons, true and false, to talk to.
"use strict";

const assert = require("node:assert/strict");
const { execFileSync, spawn } = require("node:child_process");
const dgram = require("node:dgram");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const osc = require("osc-min");
const { V8 } = require("./fake_live/max.js");
const { Live } = require("./fake_live/model.js");

const ROOT = path.resolve(__dirname, "../..");
const PYTHON = path.join(ROOT, ".venv/bin/python");
const INTERFACE = JSON.parse(fs.readFileSync(path.join(ROOT, "max_for_live/interface.json"), "utf8"));
const PATIENCE = 1000 * Number(process.env.PATIENCE_SECONDS || 90);

let linked = "";

/** The script as it lies in the device: the modules of src/, linked. */
function script() {
    linked = linked || execFileSync(PYTHON, ["-m", "max_for_live.build.script"], { cwd: ROOT, encoding: "utf8" });
    return linked;
}

/** What `condition` gives, once that is something. */
async function until(condition, explain = () => "") {
    const end = Date.now() + PATIENCE;
    for (;;) {
        const found = await condition();
        if (found) {
            return found;
        }
        assert.ok(Date.now() < end, `not within ${PATIENCE / 1000} s: ${explain()}`);
        await new Promise((go) => setTimeout(go, 15));
    }
}

function pause(milliseconds) {
    return new Promise((go) => setTimeout(go, milliseconds));
}

const folders = [];
// Not when a test ends: a daemon that still writes into its folder would make the removal fail, and then nothing ended that daemon.
process.on("exit", () => folders.forEach((made) => fs.rmSync(made, { recursive: true, force: true, maxRetries: 10 })));

/** A new folder, gone when the process ends. `name` may have any letters. */
function folder(t, name = "tertium") {
    const made = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
    folders.push(made);
    return made;
}

/** An OSC message as Max sends it: whole numbers as integers, others as float32. */
function encoded(address, atoms) {
    const args = atoms.map((atom) => (typeof atom === "string" ? { type: "string", value: atom }
        : Number.isInteger(atom) && atom >= -(2 ** 31) && atom < 2 ** 31 ? { type: "integer", value: atom } : { type: "float", value: atom }));
    const bytes = osc.toBuffer({ address, args });
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function decoded(bytes) {
    const message = osc.fromBuffer(bytes);
    return { address: message.address, atoms: message.args.map((argument) => argument.value) };
}

function bound(port = 0) {
    const socket = dgram.createSocket("udp4");
    return new Promise((go, fail) => {
        socket.once("error", fail);
        socket.bind(port, "127.0.0.1", () => go(socket));
    });
}

/** The device on a track of a fake set. */
class TestDevice {
    /**
     * @param place the track or chain that it is on
     * @param speed how many times faster its clock goes
     */
    constructor(live, place, { port = 0, speed = 3, os = "macintosh", patcherPath = "", memory = "", ready = true } = {}) {
        this.live = live;
        this.thing = live.addDevice(place, { name: "Tertium", class_name: "MxDeviceAudioEffect" });
        this.panel = {};
        this.said = [];
        this.audio = [];
        this.sent = [];
        this.memory = "";
        this.menu = [];
        this.daemon = 7700;
        this.sender = dgram.createSocket("udp4");
        this.receiver = null;
        this.open = true;
        this.v8 = new V8(script(), {
            live, device: this.thing, speed, os, patcherPath, onOutlet: (index, selector, atoms) => this.out(index, selector, atoms),
        });
        if (memory) {
            this.v8.message("memory", memory);
        }
        if (port) {
            this.v8.message("daemon", port);
        }
        if (ready) {
            this.v8.message("live_ready");
        }
    }

    out(index, selector, atoms) {
        const told = INTERFACE.from_script.filter((row) => row.outlet === index);
        assert.ok(told.some((row) => row.selector === selector || (row.selector === "/tertium/…" && selector.startsWith("/tertium/"))),
            `outlet ${index} said ${selector}, which interface.json does not have`);
        [this.toDaemon, this.toReceiver, this.toPanel, this.toAudio][index].call(this, selector, atoms);
    }

    toDaemon(selector, atoms) {
        if (selector === "port") {
            this.daemon = atoms[0];
        } else if (selector.startsWith("/")) {
            this.sent.push({ command: selector.slice(9), id: atoms[0], fields: fieldsOf(atoms.slice(1)) });
            if (this.open) {
                this.sender.send(encoded(selector, atoms), this.daemon, "127.0.0.1");
            }
        }
    }

    /** As [udpreceive]: a port that is taken is not bound, and the script is not told. */
    toReceiver(selector, atoms) {
        assert.equal(selector, "port");
        if (this.receiver) {
            this.receiver.close();
        }
        const receiver = dgram.createSocket("udp4");
        receiver.on("error", () => { });
        receiver.on("message", (bytes) => {
            if (this.open && this.receiver === receiver) {
                this.hear(bytes);
            }
        });
        receiver.bind(atoms[0], "127.0.0.1");
        this.receiver = receiver;
        this.port = atoms[0];
    }

    /** What is no OSC message [udpreceive] keeps to itself. */
    hear(bytes) {
        let message;
        try {
            message = decoded(bytes);
        } catch (problem) {
            return;
        }
        this.v8.message(message.address, ...message.atoms);
    }

    toPanel(selector, atoms) {
        this.said.push([selector, ...atoms]);
        if (selector === "memory") {
            this.memory = atoms[0];
            setImmediate(() => this.open && this.v8.message("memory", atoms[0])); // the echo of [pattr]
        } else if (selector === "checkpoints") {
            this.menu = atoms[0] === "clear" ? [] : atoms[0] === "append" ? [...this.menu, atoms[1]] : this.menu;
            this.panel.checkpoint = atoms[0] === "setsymbol" ? atoms[1] : this.panel.checkpoint;
        } else {
            this.panel[selector] = atoms[0] === "set" ? atoms[1] : atoms.length > 1 ? atoms : atoms[0];
        }
    }

    toAudio(selector, atoms) {
        this.audio.push([selector, ...atoms]);
    }

    press(selector, ...atoms) {
        assert.ok(INTERFACE.controls.some((control) => control.message === selector) || INTERFACE.to_script.some((row) => row.selector === selector),
            `${selector} is not in interface.json`);
        this.v8.message(selector, ...atoms);
    }

    until(condition) {
        const texts = () => Object.entries(this.panel).filter(([, value]) => !Array.isArray(value)).map(([name, value]) => `${name}: ${value}`);
        return until(() => condition(this.panel), () => [...texts(), ...this.live.console].join("\n"));
    }

    there() {
        return this.until((panel) => panel.light === 2);
    }

    /** Takes a file into a slot and waits for it. */
    async take(which, file) {
        this.press(`${which}_drop`, file);
        const name = path.basename(file).replace(/\.[^.]*$/, "");
        await this.until((panel) => panel[`${which}_name`] === name && panel[`${which}_length`] !== " ");
    }

    /** Nothing in Max's console, no observer, no mistake in the panel (a name that Max does not have would be one). */
    quiet() {
        assert.deepEqual(this.v8.console, []);
        assert.deepEqual(this.live.console, []);
        assert.equal(this.live.observers.size, 0);
        const mistakes = this.said.filter(([, , text]) => String(text).startsWith("A mistake in the device"));
        assert.deepEqual(mistakes, []);
    }

    close() {
        if (this.open) {
            this.v8.free();
            this.open = false;
            this.sender.close();
            if (this.receiver) {
                this.receiver.close();
            }
        }
    }
}

function fieldsOf(atoms) {
    const fields = {};
    for (let at = 0; at + 1 < atoms.length; at += 2) {
        fields[atoms[at]] = atoms[at + 1];
    }
    return fields;
}

/** Presses Fuse, and waits until its result is placed, or is not. */
async function fused(device, pattern = /is in slot|is not placed|not placed/) {
    const before = device.said.length;
    device.press("fuse");
    await device.until(() => device.said.slice(before).some(([target, , text]) => target === "status_text" && pattern.test(text)));
}

/** The names of a track's clips by their rows, null where there is none. */
function clips(track) {
    return track.slots.map((slot) => (slot.clip ? slot.clip.properties.name : null));
}

/** A set with one audio track, and a device on it. */
function deviceIn(t, options = {}) {
    const live = options.live || new Live(options);
    const track = options.track || live.addTrack({ name: options.trackName || "Drums" });
    const device = new TestDevice(live, options.place || track, options);
    t.after(() => device.close());
    return { live, track, device };
}

/** A real daemon in a process of its own. */
class Daemon {
    constructor(home, { step = 0, port = 0, ...options } = {}) {
        this.home = home;
        const given = { home, osc: `127.0.0.1:${port}`, engine: "tests.worker.fake_engine", model: "fake", ...options };
        fs.mkdirSync(home, { recursive: true });
        this.log = path.join(home, "log");
        const log = fs.openSync(this.log, "a");
        this.process = spawn(PYTHON, ["-m", "tests.end_to_end.serve", JSON.stringify(given)], {
            cwd: ROOT, stdio: ["ignore", log, log],
            env: {
                ...process.env, PYTHONPATH: [ROOT, path.join(ROOT, "server"), path.join(ROOT, "protocol")].join(path.delimiter),
                TERTIUM_FAKE_STEP: String(step), TERTIUM_FAKE_FOLDER: home, OMP_NUM_THREADS: "1",
            },
        });
        fs.closeSync(log);
        this.ended = new Promise((go) => this.process.once("exit", go));
    }

    async up() {
        const file = path.join(this.home, "daemon.json");
        this.facts = await until(() => {
            assert.equal(this.process.exitCode, null, fs.readFileSync(this.log, "utf8"));
            try {
                const facts = JSON.parse(fs.readFileSync(file, "utf8"));
                return facts.pid === this.process.pid && facts;
            } catch (problem) {
                return null;
            }
        }, () => fs.readFileSync(this.log, "utf8"));
        this.port = this.facts.osc[1];
        return this;
    }

    async stop(how = "SIGTERM") {
        if (this.process.exitCode === null && this.process.signalCode === null) {
            this.process.kill(how);
        }
        await this.ended;
    }
}

/** A daemon for a test or for a whole file (`after` is the test's or the module's). */
async function daemonIn(after, home, options) {
    const daemon = new Daemon(home, options);
    after(() => daemon.stop("SIGKILL"));
    return daemon.up();
}

/** Carries datagrams between a device and a daemon, and loses or repeats what `fate(way, message)` says: "lose", "twice" or "pass". */
class Relay {
    static async between(t, daemonPort, fate) {
        const relay = new Relay();
        relay.front = await bound();
        relay.back = await bound();
        relay.port = relay.front.address().port;
        relay.answers = 0;
        relay.front.on("message", (bytes) => relay.carry("out", relay.readdressed(bytes), relay.back, daemonPort, fate));
        relay.back.on("message", (bytes) => relay.answers && relay.carry("back", bytes, relay.front, relay.answers, fate));
        t.after(() => [relay.front, relay.back].forEach((socket) => socket.close()));
        return relay;
    }

    /** A hello names the device's port; the daemon is told the relay's. */
    readdressed(bytes) {
        const { address, atoms } = decoded(bytes);
        const at = atoms.indexOf("reply_port");
        if (address !== "/tertium/hello" || at < 0) {
            return bytes;
        }
        this.answers = atoms[at + 1];
        return encoded(address, atoms.map((atom, index) => (index === at + 1 ? this.back.address().port : atom)));
    }

    carry(way, bytes, socket, port, fate) {
        const how = fate(way, decoded(bytes));
        const times = { lose: 0, pass: 1, twice: 2 }[how];
        for (let time = 0; time < times; time += 1) {
            socket.send(bytes, port, "127.0.0.1");
        }
    }
}

/** A server that says whatever `answer(message, say)` makes it say to the port that hello named. */
async function falseServer(t, answer) {
    const socket = await bound();
    const server = { port: socket.address().port, heard: [], answers: 0 };
    server.say = (address, ...atoms) => server.raw(encoded(address, atoms));
    server.raw = (bytes) => server.answers && socket.send(bytes, server.answers, "127.0.0.1");
    socket.on("message", (bytes) => {
        const message = decoded(bytes);
        const fields = fieldsOf(message.atoms.slice(1));
        server.heard.push({ command: message.address.slice(9), id: message.atoms[0], fields });
        server.answers = fields.reply_port || server.answers;
        answer({ command: message.address.slice(9), id: message.atoms[0], fields }, server);
    });
    t.after(() => socket.close());
    return server;
}

module.exports = {
    ROOT, PYTHON, INTERFACE, script, until, pause, folder, encoded, decoded, fieldsOf, TestDevice, fused, clips, deviceIn, Daemon, daemonIn, Relay,
    falseServer,
};

/** A daemon for a whole test file, and sounds to give it: `const house = sharedDaemon(); … house.daemon.port, house.tone("drums")`. */
function sharedDaemon({ name = "tertium", ...options } = {}) {
    const { before, after } = require("node:test");
    const { writeTone } = require("./fake_live/wav.js");
    const house = { sounds: "", daemon: null };
    before(async () => {
        house.sounds = fs.mkdtempSync(path.join(os.tmpdir(), `${name}-`));
        house.daemon = await new Daemon(path.join(house.sounds, "home"), options).up();
    });
    after(async () => {
        await house.daemon.stop("SIGKILL");
        fs.rmSync(house.sounds, { recursive: true, force: true, maxRetries: 10 });
    });
    house.tone = (stem, about = {}) => writeTone(path.join(house.sounds, `${stem}.wav`), { frequency: 100 + Math.random() * 800, ...about });
    /** A device in a set that has both sounds (no reference if that is null: then a prompt leads) and hears the daemon. */
    house.ready = async (t, options = {}) => {
        const found = deviceIn(t, { port: house.daemon.port, ...options });
        await found.device.there();
        await found.device.take("original", house.tone(options.original || "drums", { seconds: options.seconds || 2 }));
        if (options.reference !== null) {
            await found.device.take("reference", house.tone(options.reference || "hum"));
        }
        return found;
    };
    return house;
}

module.exports.sharedDaemon = sharedDaemon;
