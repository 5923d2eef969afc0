// Max's LiveAPI over the fake Live, with the manners of the real one: get() gives arrays, id is text, path is quoted, what call() and set()
// come up against is printed in Max's console and not thrown, names that look like numbers come as numbers.
"use strict";

const { Refused } = require("./thing.js");

/** The class LiveAPI for one device of a set. */
function liveApiOf(live, device) {
    return class LiveAPI {
        constructor(...given) {
            this.callback = typeof given[0] === "function" ? given.shift() : null;
            if (given.length > 1) {
                given.shift();
            }
            this.found = null;
            this.observed = "";
            if (given.length && given[0] !== undefined && given[0] !== null) {
                this.goto(String(given[0]));
            }
        }

        thing() {
            return this.found && live.thing(this.found.id) === this.found ? this.found : null;
        }

        get id() {
            const thing = this.thing();
            return thing ? String(thing.id) : "0";
        }

        set id(value) {
            this.found = live.thing(Number(value));
        }

        get type() {
            const thing = this.thing();
            return thing ? thing.type : "";
        }

        /** What it has, as text. */
        get info() {
            const thing = this.thing();
            return !thing ? "No object" : [`id ${thing.id}`, `type ${thing.type}`, ...Object.keys(thing.functions).map((name) => `function ${name}`), "done"].join("\n");
        }

        get path() {
            return `"${this.given || ""}"`;
        }

        set path(value) {
            this.goto(String(value));
        }

        get property() {
            return this.observed;
        }

        set property(name) {
            this.observed = name;
            live.observers.add(this);
        }

        goto(path) {
            this.given = path;
            const words = path.trim().split(/\s+/);
            const roots = { live_set: live.song, live_app: live.app, this_device: device };
            if (words[0] === "id") {
                this.found = live.thing(Number(words[1]));
                return;
            }
            let at = Object.prototype.hasOwnProperty.call(roots, words[0]) ? roots[words[0]] : null;
            for (let word = 1; at && word < words.length; word += 1) {
                const child = words[word] in at.children ? at.children[words[word]] : null;
                if (Array.isArray(child)) {
                    word += 1;
                    at = child[Number(words[word])] || null;
                } else {
                    at = child;
                }
            }
            this.found = at;
        }

        complain(text) {
            live.print(`v8: LiveAPI: ${text}`);
        }

        get(name) {
            const thing = this.thing();
            if (!thing) {
                this.complain("get: no valid object set");
                return [0];
            }
            if (name in thing.children) {
                const child = thing.children[name];
                const all = Array.isArray(child) ? child : [child];
                return Array.isArray(child) && !child.length ? [] : all.flatMap((one) => ["id", one ? one.id : 0]);
            }
            if (name === "warp_markers" && thing.type === "Clip" && live.has(thing, name)) {
                return thing.warp_markers;
            }
            if (!(name in thing.properties) || !live.has(thing, name)) {
                this.complain(`get: no property called ${name}`);
                return [0];
            }
            const value = thing.properties[name];
            return [typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value];
        }

        set(name, value) {
            const thing = this.thing();
            if (!thing) {
                this.complain("set: no valid object set");
            } else if (live.barred()) {
                this.complain(live.barred());
            } else if (!thing.settable.includes(name)) {
                this.complain(`set: no property called ${name}`);
            } else {
                this.attempt(() => thing.set(name, value), `set ${name} ${value}`);
            }
        }

        call(name, ...given) {
            const thing = this.thing();
            if (!thing) {
                this.complain("call: no valid object set");
                return undefined;
            }
            if (!(name in thing.functions) || !live.has(thing, name)) {
                this.complain(`call: no function called ${name}`);
                return undefined;
            }
            if (live.barred() && !name.startsWith("get_")) {
                this.complain(live.barred());
                return undefined;
            }
            return this.attempt(() => thing.functions[name](...given), [name, ...given].join(" "));
        }

        attempt(run, words) {
            live.writes += /^(get_|beat_to|begin_undo|end_undo)/.test(words) ? 0 : 1;
            try {
                return run();
            } catch (problem) {
                if (!(problem instanceof Refused)) {
                    throw problem;
                }
                this.complain(`${problem.message}: '${words}'`);
                return undefined;
            }
        }

        getcount(name) {
            const thing = this.thing();
            const child = thing ? thing.children[name] : null;
            return Array.isArray(child) ? child.length : child ? 1 : 0;
        }
    };
}

module.exports = { liveApiOf };
