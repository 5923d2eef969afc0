// What a script finds in Max's [v8]: its globals and nothing else, over a fake Live, real files and real time.
"use strict";

const fs = require("node:fs");
const vm = require("node:vm");
const { liveApiOf } = require("./live_api.js");

const BYTES_A_CALL = 16384;

/** Paths as Max knows them: `Macintosh HD:/…` is the boot volume. */
function onDisk(path) {
    return String(path).replace(/^Macintosh HD:\//, "/");
}

/** Max's File: opened by its constructor, silent about what is not there; does not make a file shorter. */
class MaxFile {
    constructor(path, access = "read") {
        this.filename = path;
        this.position = 0;
        this.handle = null;
        const flags = { read: "r", write: fs.existsSync(onDisk(path)) ? "r+" : "w+", readwrite: "r+" }[access];
        try {
            const isFile = !fs.existsSync(onDisk(path)) || fs.statSync(onDisk(path)).isFile();
            this.handle = isFile ? fs.openSync(onDisk(path), flags) : null;
        } catch (problem) {
            this.handle = null;
        }
    }

    get isopen() {
        return this.handle !== null ? 1 : 0;
    }

    get eof() {
        return this.handle === null ? 0 : fs.fstatSync(this.handle).size;
    }

    readstring(count) {
        return this.take(count).toString("utf8");
    }

    readbytes(count) {
        return Array.from(this.take(Math.min(count, BYTES_A_CALL)));
    }

    take(count) {
        const bytes = Buffer.alloc(count);
        const got = fs.readSync(this.handle, bytes, 0, count, this.position);
        this.position += got;
        return bytes.subarray(0, got);
    }

    writebytes(bytes) {
        this.position += fs.writeSync(this.handle, Buffer.from(bytes), 0, bytes.length, this.position);
    }

    close() {
        if (this.handle !== null) {
            fs.closeSync(this.handle);
        }
        this.handle = null;
    }
}

/** Max's Task: one at a time in the low-priority thread. `speed` makes its time go faster. */
function taskClass(max) {
    return class Task {
        constructor(run, self, ...given) {
            this.run = () => run.apply(self || this, given);
            this.interval = 500;
            this.timer = null;
            this.repeats = null;
        }

        schedule(wait = 0) {
            this.cancel();
            this.timer = setTimeout(() => {
                this.timer = null;
                max.turn(this.run);
            }, wait / max.speed);
            max.timers.add(this);
        }

        repeat() {
            this.cancel();
            this.repeats = setInterval(() => max.turn(this.run), Math.max(1, this.interval / max.speed));
            max.timers.add(this);
        }

        cancel() {
            clearTimeout(this.timer);
            clearInterval(this.repeats);
            this.timer = null;
            this.repeats = null;
            max.timers.delete(this);
        }
    };
}

/** A [v8] object with a script in it. `onOutlet(index, selector, atoms)` gets what comes out. */
class V8 {
    constructor(source, { live, device, onOutlet, speed = 1, os = "macintosh", patcherPath = "" }) {
        this.live = live;
        this.speed = speed;
        this.timers = new Set();
        this.console = [];
        this.opened = [];
        this.onOutlet = onOutlet;
        this.context = this.bare(live, device, os, patcherPath);
        vm.runInContext(source, this.context, { filename: "script.js" });
    }

    /** A context that has Max's globals alone: whatever else a script asks for is not defined, and it fails. */
    bare(live, device, os, patcherPath) {
        const max = this;
        const globals = {
            post: (...atoms) => max.console.push(atoms.join(" ")),
            error: (...atoms) => max.console.push("error: " + atoms.join(" ")),
            outlet: (index, ...atoms) => max.out(index, atoms),
            arrayfromargs: (...given) => given.flatMap((one) => (Object.prototype.toString.call(one) === "[object Arguments]" ? Array.from(one) : [one])),
            messagename: "",
            inlet: 0,
            LiveAPI: liveApiOf(live, device),
            Task: taskClass(max),
            File: MaxFile,
            Folder: class Folder { },
            Dict: class Dict {
                constructor(name) {
                    this.name = name;
                    this.own = {};
                }

                set(key, value) {
                    this.own[key] = value;
                }

                stringify() {
                    return live.dicts.get(this.name) || JSON.stringify(this.own);
                }
            },
            Buffer: class MaxBuffer { },
            max: { os, launchbrowser: (url) => max.opened.push(url) },
            jsarguments: ["script.js"],
            patcher: { filepath: patcherPath },
        };
        const context = vm.createContext(globals);
        vm.runInContext("delete globalThis.console; delete globalThis.WebAssembly;", context); // Node's own gifts
        return context;
    }

    out(index, atoms) {
        const flat = atoms.flat();
        flat.forEach((atom) => {
            if (!(typeof atom === "string" || (typeof atom === "number" && isFinite(atom)))) {
                throw new TypeError(`outlet ${index} got ${String(atom)} in ${flat.join(" ")}: no atom of Max's`);
            }
        });
        this.onOutlet(index, String(flat[0]), flat.slice(1));
    }

    /** A message to the inlet, as Max delivers it. */
    message(selector, ...atoms) {
        this.turn(() => {
            this.context.messagename = selector;
            this.given = atoms;
            const own = vm.runInContext(`typeof ${/^[A-Za-z_$][\w$]*$/.test(selector) ? selector : "undefined"}`, this.context);
            const called = own === "function" && selector !== "anything" ? selector : "anything";
            vm.runInContext(called, this.context).apply(vm.runInContext("globalThis", this.context), atoms);
        });
    }

    turn(run) {
        run();
    }

    /** What a module of the script exports. */
    module(name) {
        return this.evaluate("linked")[name];
    }

    /** The value of an expression in the script's own scope. */
    evaluate(expression) {
        return vm.runInContext(expression, this.context);
    }

    free() {
        this.message("notifydeleted");
        Array.from(this.timers).forEach((task) => task.cancel());
    }
}

module.exports = { V8, MaxFile };
