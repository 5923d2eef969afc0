// The script's words are the daemon's: the table, the golden vectors, the interface with the patcher, and Max's globals alone.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { Live } = require("./fake_live/model.js");
const { V8 } = require("./fake_live/max.js");
const { ROOT, PYTHON, INTERFACE, script, encoded, decoded, deviceIn, sharedDaemon } = require("./harness.js");

const house = sharedDaemon();
const SOURCE = script();

function vectors(name) {
    return JSON.parse(fs.readFileSync(path.join(ROOT, "protocol/vectors", name), "utf8")).cases;
}

function bare(source = SOURCE, outlets = []) {
    const live = new Live();
    const track = live.addTrack({ name: "Audio" });
    const device = live.addDevice(track, { name: "Tertium" });
    const v8 = new V8(source, { live, device, onOutlet: (index, selector, atoms) => outlets.push([index, selector, ...atoms]) });
    return { v8, live, outlets };
}

/** The hand-written code without its comments, and without its text if that is not wanted. */
function code({ texts }) {
    const words = SOURCE.replace(/\/\/ ===== daemon\/protocol\.js =====[^]*?(?=\n\/\/ =====)/, "").replace(/\/\*[^]*?\*\//g, "").replace(/(^|\s)\/\/ .*$/gm, "");
    return texts ? words : words.replace(/"[^"\n]*"|`[^`]*`/g, '""');
}

function lacks(words, pattern) {
    const found = pattern.exec(words);
    assert.equal(found && found[0], null, String(pattern));
}

/** Plain objects of what came from another context. */
function plain(value) {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

test("the generated module is up to date with the command table", () => {
    const env = { ...process.env, PYTHONPATH: path.join(ROOT, "protocol") };
    const said = execFileSync(PYTHON, ["-m", "max_for_live.build.protocol_table", "--check"], { cwd: ROOT, env, encoding: "utf8" });
    assert.equal(said, "protocol.js is up to date.\n");
});

test("the golden answers are read from their datagrams", () => {
    const { v8 } = bare();
    const read = v8.evaluate("(address, atoms) => osc.read(address, atoms)");
    let count = 0;
    for (const { name, datagrams, reads } of vectors("osc_answers.json")) {
        const messages = datagrams.map((hex) => decoded(Buffer.from(hex, "hex")));
        const found = messages.map(({ address, atoms }) => plain(read(address, atoms))).filter(Boolean);
        assert.deepEqual(found, reads, name);
        count += 1;
    }
    assert.ok(count >= 13);
});

test("parts are put together in whatever order they come, and repeated ones count once", () => {
    const { v8 } = bare();
    const read = v8.evaluate("(address, atoms) => osc.read(address, atoms)");
    const parts = vectors("osc_answers.json").find((one) => one.datagrams.length > 3 && one.reads.length === 1);
    const messages = parts.datagrams.map((hex) => decoded(Buffer.from(hex, "hex"))).reverse();
    const found = [messages[0], ...messages].map(({ address, atoms }) => plain(read(address, atoms))).filter(Boolean);
    assert.deepEqual(found, parts.reads);
    assert.equal(v8.evaluate("osc.incomplete.size"), 0);
});

test("the golden requests are encoded to their bytes", () => {
    const { v8 } = bare();
    const atoms = v8.evaluate("(command, id, fields) => osc.atoms(command, id, fields)");
    const names = [];
    for (const { name, address, arguments: given, hex } of vectors("osc_requests.json")) {
        const whole = (given || []).some(({ type, value }) => type === "f" && Number.isInteger(value));
        if (!address || whole) {
            continue; // bundles, and floats with whole values, which Max sends as integers
        }
        const [id, ...pairs] = given.map(({ value }) => value);
        const fields = {};
        for (let at = 0; at < pairs.length; at += 2) {
            fields[pairs[at]] = pairs[at + 1];
        }
        const [selector, ...rest] = plain(atoms(address.slice("/tertium/".length), id, fields));
        assert.equal(encoded(selector, rest).toString("hex"), hex, name);
        names.push(name);
    }
    assert.ok(names.length >= 14, names.join(", "));
});

test("a field that the command table lacks cannot be sent", () => {
    const { v8 } = bare();
    assert.throws(() => v8.evaluate('osc.atoms("fuse", "1", { blnd: 0.5 })'), /fuse has no field blnd\./);
});

test("the daemon that runs describes the same commands and fields", async (t) => {
    const { device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    device.v8.evaluate('requests.ask("commands", {}, (event, fields, items) => { globalThis.described = items; })');
    await device.until(() => device.v8.evaluate("globalThis.described"));
    const described = plain(device.v8.evaluate("globalThis.described"));
    const table = plain(device.v8.module("daemon/protocol").COMMANDS);
    const told = Object.fromEntries(described.filter(({ transports }) => JSON.parse(transports).includes("osc"))
        .map(({ name, parameters }) => [name, JSON.parse(parameters).map((parameter) => parameter.name)]));
    assert.deepEqual(told, table);
    device.quiet();
});

test("every message of the interface is answered, and no other is", () => {
    const { v8, outlets } = bare();
    const handled = new Set(plain(v8.evaluate("Object.keys(handlers)")));
    const named = [...INTERFACE.controls.map((control) => control.message), ...INTERFACE.to_script.map((row) => row.selector)]
        .filter((selector) => selector && selector !== "/tertium/…");
    assert.deepEqual([...handled].sort(), [...new Set(named)].sort());
    ["toString", "constructor", "__proto__", "nonsense", "/tertium/constructor", "/nonsense", "/tertium/hello"]
        .forEach((selector) => v8.message(selector, 1, "x"));
    const mistakes = outlets.filter(([, selector]) => selector === "error_text");
    assert.deepEqual(mistakes, []);
    v8.free();
});

test("no function of the script is called by a message but the two that Max shall call", () => {
    const { v8 } = bare();
    const { v8: empty } = bare("");
    const names = (one) => plain(one.evaluate("Object.getOwnPropertyNames(globalThis)"));
    const own = names(v8).filter((name) => !names(empty).includes(name));
    assert.deepEqual(own.sort(), ["anything", "autowatch", "inlets", "notifydeleted", "outlets"]);
    assert.deepEqual(own.filter((name) => v8.evaluate(`typeof ${name}`) === "function"), ["anything", "notifydeleted"]);
    const messages = [
        ...INTERFACE.controls.map((control) => control.name), ...INTERFACE.to_script.map((row) => row.selector).filter((name) => !name.includes("/")),
        "bang", "msg_int", "msg_float", "list", "loadbang", "getvalueof", "setvalueof", "save", "paint", "onresize", "compile", "open", "read",
    ];
    assert.deepEqual(messages.filter((name) => v8.evaluate(`typeof ${name}`) === "function"), []);
    assert.deepEqual(["inlets", "outlets", "autowatch"].map((name) => v8.evaluate(name)), [INTERFACE.inlets, INTERFACE.outlets.length, 0]);
    v8.free();
});

test("the knobs' defaults are those of the interface", () => {
    const { v8 } = bare();
    const knobs = plain(v8.evaluate("knobs"));
    INTERFACE.controls.filter((control) => control.name in knobs && control.default !== undefined)
        .forEach((control) => assert.equal(knobs[control.name], control.default, control.name));
    INTERFACE.controls.filter((control) => control.kind === "enum" && Array.isArray(control.items)).forEach((control) => {
        control.items.forEach((item) => {
            v8.message(control.message, item);
            assert.equal(String(plain(v8.evaluate("knobs"))[control.name]), String(item));
        });
        v8.message(control.message, "nonsense");
        assert.equal(String(plain(v8.evaluate("knobs"))[control.name]), String(control.items[control.items.length - 1]));
    });
});

test("nothing asks anything of Live before live_ready, and there is no port before it", () => {
    const { v8, live, outlets } = bare();
    const asking = INTERFACE.controls.filter((control) => ["button", "drop"].includes(control.kind));
    const asked = [];
    live.things.get(2).properties = new Proxy(live.song.properties, { get: (target, name) => asked.push(name) && target[name] });
    asking.forEach((control) => v8.message(control.message, "/a.wav"));
    INTERFACE.controls.filter((control) => control.kind === "number").forEach((control) => v8.message(control.message, control.maximum));
    v8.message("by_next", 4);
    assert.deepEqual(asked, []);
    assert.deepEqual(live.console, []);
    assert.deepEqual(outlets.filter(([index]) => index < 2), []);
});

test("a script that uses a name which Max lacks is found out", () => {
    for (const stranger of ["console.log(1)", "setTimeout(anything, 1)", "require('fs')", "process.exit()", "fetch('x')"]) {
        const { v8, outlets } = bare(SOURCE.replace("copy_command() {", `copy_command() { ${stranger};`));
        v8.message("copy_command");
        const [, , , told] = outlets.find(([, selector]) => selector === "error_text") || [];
        assert.match(String(told), /A mistake in the device: \w+ is not defined/, stranger);
    }
    const words = code({ texts: false });
    for (const stranger of ["require", "console", "setTimeout", "setInterval", "process", "fetch", "document", "XMLHttpRequest"]) {
        lacks(words, new RegExp(`(?<![.\\w])${stranger}\\b(?!:)`));
    }
    lacks(words, /\bwhile \(true\)|\bfor \(;;\)/);
});

test("nothing is posted, no property is observed, nothing of Live's is deleted", () => {
    lacks(code({ texts: true }), /(?<![.\w])(post|cpost|messnamed)\(|(?<![.\w])error\((?!job, fields\) \{)/);
    lacks(code({ texts: true }), /\.property\s*=/);
    lacks(code({ texts: true }), /call\("(delete|stop|clear|crop|undo|redo)/);
    assert.equal([...code({ texts: true }).matchAll(/\.call\("(\w+)"/g)].map(([, name]) => name).sort().join(" "),
        "add_warp_marker add_warp_marker beat_to_sample_time begin_undo_step create_audio_clip create_scene duplicate_clip_to_arrangement end_undo_step move_warp_marker remove_warp_marker "
        + "remove_warp_marker replace_sample");
});
