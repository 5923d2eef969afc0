// What a stage brings: no daemon, one that dies, one that is slow, one that lies, datagrams that are lost and repeated.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const dgram = require("node:dgram");
const fs = require("node:fs");
const path = require("node:path");
const { writeTone } = require("./fake_live/wav.js");
const { Daemon, Relay, deviceIn, encoded, falseServer, folder, pause, sharedDaemon, until } = require("./harness.js");

const house = sharedDaemon({ step: 0.01 });

function freePort() {
    return new Promise((go) => {
        const socket = dgram.createSocket("udp4");
        socket.bind(0, "127.0.0.1", () => {
            const { port } = socket.address();
            socket.close(() => go(port));
        });
    });
}

function clips(track) {
    return track.slots.filter((slot) => slot.clip).length;
}

/** How many jobs a daemon knows. */
async function jobsOf(device) {
    device.v8.evaluate('globalThis.total = null; requests.ask("jobs", { limit: 1 }, (event, fields) => { globalThis.total = fields.total; })');
    await device.until(() => device.v8.evaluate("globalThis.total !== null"));
    return device.v8.evaluate("globalThis.total");
}

test("without a daemon the light goes out and a sentence says how to start one; when it comes the device sees it", async (t) => {
    const port = await freePort();
    const { track, device } = deviceIn(t, { port });
    assert.equal(device.panel.light, 1);
    await device.until((panel) => panel.light === 0);
    assert.equal(device.panel.error_text, `No daemon answers on port ${port}. Start it in a terminal: tertium serve`);
    const ports = new Set();
    await device.until(() => ports.add(device.port).size >= 3); // other reply ports are tried: ours may be another program's
    const home = folder(t);
    device.press("original_drop", writeTone(path.join(home, "waiting.wav")));
    const daemon = new Daemon(path.join(home, "home"), { port });
    t.after(() => daemon.stop("SIGKILL"));
    await device.there();
    await device.until((panel) => panel.original_name === "waiting");
    assert.equal(device.panel.error_text, " ");
    await device.take("reference", writeTone(path.join(home, "hum.wav")));
    device.press("fuse");
    await device.until(() => clips(track) === 1);
    device.quiet();
});

test("a daemon that is killed under a job and started again finishes it, once", async (t) => {
    const port = await freePort();
    const home = folder(t);
    const options = { port, step: 0.05 };
    const first = new Daemon(path.join(home, "home"), options);
    t.after(() => first.stop("SIGKILL"));
    const { track, device } = deviceIn(t, { port });
    await device.there();
    await device.take("original", writeTone(path.join(home, "drums.wav")));
    await device.take("reference", writeTone(path.join(home, "hum.wav"), { frequency: 90 }));
    device.press("fuse");
    device.press("count", 3);
    device.press("morph");
    await device.until((panel) => panel.progress > 0.1);
    await first.stop("SIGKILL");
    await device.until((panel) => panel.light === 0);
    assert.match(device.panel.error_text, /No daemon answers/);
    const second = new Daemon(path.join(home, "home"), options);
    t.after(() => second.stop("SIGKILL"));
    await device.until(() => clips(track) === 4);
    await device.until(() => device.v8.evaluate("jobs.open.size") === 0);
    assert.equal(await jobsOf(device), 2);
    assert.equal(clips(track), 4);
    device.quiet();
});

test("a daemon that does not answer for a while is waited for, and nothing is done twice", async (t) => {
    const { track, device } = await house.ready(t);
    const before = await jobsOf(device);
    house.daemon.process.kill("SIGSTOP");
    device.press("fuse");
    await device.until((panel) => panel.light === 0);
    assert.ok(device.sent.filter((sent) => sent.command === "fuse").length > 1, "it was asked for again");
    house.daemon.process.kill("SIGCONT");
    await device.until(() => clips(track) === 1);
    await device.there();
    await pause(500);
    assert.equal(clips(track), 1);
    assert.equal(await jobsOf(device), before + 1, "the same id is the same job");
    device.quiet();
});

test("with a deadline there is no waiting for a daemon that does not answer", async (t) => {
    const { track, device } = await house.ready(t);
    device.press("by_next", 4);
    house.daemon.process.kill("SIGSTOP");
    try {
        device.press("fuse");
        await device.until((panel) => panel.error_text === "The daemon did not answer, and the deadline is too near now. Try again.");
        assert.equal(device.panel.progress_text, " ");
    } finally {
        house.daemon.process.kill("SIGCONT");
    }
    await device.there();
    assert.equal(clips(track), 0);
    device.quiet();
});

test("through a network that loses a third and repeats a third everything arrives, once", async (t) => {
    let seed = 20251;
    const random = () => {
        seed = (seed * 48271) % 2147483647;
        return seed / 2147483647;
    };
    const counts = { lose: 0, twice: 0, pass: 0 };
    const relay = await Relay.between(t, house.daemon.port, () => {
        const dice = random();
        const fate = dice < 0.33 ? "lose" : dice < 0.66 ? "twice" : "pass";
        counts[fate] += 1;
        return fate;
    });
    const { track, device } = deviceIn(t, { port: relay.port, scenes: 12 });
    await device.there();
    await device.take("original", house.tone("drums"));
    await device.take("reference", house.tone("hum"));
    for (let round = 1; round <= 4; round += 1) {
        device.press("fuse");
        await device.until(() => clips(track) === round && device.v8.evaluate("jobs.open.size") === 0);
    }
    device.press("count", 3);
    device.press("morph");
    await device.until(() => clips(track) === 7);
    await device.until(() => device.menu[0] === "none" && device.v8.evaluate("requests.open.size") < 3);
    await pause(500);
    assert.equal(clips(track), 7);
    assert.equal(new Set(track.slots.filter((slot) => slot.clip).map((slot) => slot.clip.properties.file_path)).size, 7);
    assert.ok(counts.lose > 10 && counts.twice > 10, JSON.stringify(counts));
    device.quiet();
});

test("each single datagram of a fusion may be lost, or come twice", async (t) => {
    for (const how of ["lose", "twice"]) {
        for (const [way, event] of [["out", "fuse"], ["back", "accepted"], ["back", "progress"], ["back", "done"], ["back", "part"]]) {
            let hit = 0;
            const relay = await Relay.between(t, house.daemon.port, (direction, message) => {
                const it = direction === way && message.address === `/tertium/${event}`;
                hit += it ? 1 : 0;
                return it && hit === 1 ? how : "pass";
            });
            const { track, device } = deviceIn(t, { port: relay.port });
            await device.there();
            await device.take("original", house.tone("drums"));
            await device.take("reference", house.tone("hum"));
            device.press("fuse");
            await device.until(() => clips(track) === 1 && device.v8.evaluate("jobs.open.size") === 0);
            await pause(100);
            assert.equal(clips(track), 1, `${how} ${event}`);
            assert.ok(hit || event === "part", `${event} was there to ${how}`);
            device.quiet();
            device.close();
        }
    }
});

test("a list of which an item is lost is asked for again", async (t) => {
    const { device } = await house.ready(t, { reference: "bells" });
    device.press("prompt", "step=0");
    device.press("learn");
    await device.until((panel) => /Learned as bells/.test(panel.status_text));
    let lost = 0;
    const relay = await Relay.between(t, house.daemon.port, (way, message) => {
        const item = message.address === "/tertium/item" || (message.address === "/tertium/part" && message.atoms.includes("item"));
        lost += item ? 1 : 0;
        return item && lost === 1 ? "lose" : "pass";
    });
    const { device: other } = deviceIn(t, { port: relay.port });
    await other.until(() => other.menu.includes("bells"));
    assert.ok(lost >= 2);
    other.quiet();
});

/** A false daemon that greets as a true one does, and says to other requests what `answers` has for them. */
function liar(t, answers) {
    return falseServer(t, ({ command, id, fields }, server) => {
        const told = answers[command];
        if (told) {
            told(server, id, fields);
        } else if (command === "hello") {
            server.say("/tertium/reply", id, "protocol", "1.4", "version", "9", "pid", 1, "home", "/nowhere", "model", "liar", "state", "ready");
        } else if (command === "status") {
            server.say("/tertium/reply", id, "state", "ready", "model", "liar", "queued", 0, "done", 0, "failed", 0, "uptime", 1, "version", "9");
        } else if (command === "checkpoints") {
            server.say("/tertium/reply", id, "count", 0);
        } else if (command === "add_sound") {
            const sound = fields.name.includes("drums") ? "a".repeat(64) : "b".repeat(64);
            server.say("/tertium/reply", id, "sound", sound, "name", fields.name, "path", fields.path, "frames", 88200, "channels", 2,
                "sample_rate", 44100, "seconds", 2, "notes", "[]");
        }
    });
}

async function lied(t, answers) {
    const server = await liar(t, answers);
    const found = deviceIn(t, { port: server.port });
    await found.device.there();
    const home = folder(t);
    await found.device.take("original", writeTone(path.join(home, "drums.wav")));
    await found.device.take("reference", writeTone(path.join(home, "hum.wav")));
    return { ...found, server, home };
}

test("a daemon of another major version is refused in words", async (t) => {
    const server = await liar(t, {
        hello: (one, id) => one.say("/tertium/reply", id, "protocol", "2.0", "version", "9", "pid", 1, "home", "/x", "model", "m", "state", "ready"),
    });
    const { device } = deviceIn(t, { port: server.port });
    await device.until((panel) => /The daemon speaks protocol 2\.0, this device 1\.\d+\. Update the older of the two\./.test(panel.error_text));
    assert.notEqual(device.panel.light, 2);
    device.quiet();
});

test("a daemon of an older minor version takes whole files, and parts are refused in words", async (t) => {
    const { live, track, device } = await lied(t, {
        hello: (one, id) => one.say("/tertium/reply", id, "protocol", "1.2", "version", "0.0.9", "pid", 1, "home", "/x", "model", "m", "state", "ready"),
        add_sound: (one, id, fields) => ("start" in fields
            ? one.say("/tertium/error", id, "code", "unknown_field", "message", "add_sound has no field “start”.", "field", "start", "value", 0.5, "remedy", "Its fields are path, name.")
            : one.say("/tertium/reply", id, "sound", "a".repeat(64), "name", "x", "path", fields.path, "frames", 1, "channels", 1, "sample_rate", 44100, "seconds", 2, "notes", "[]")),
    });
    live.select(live.putClip(track, 0, house.tone("cut", { seconds: 3 }), { warping: 0, start_marker: 0.5, end_marker: 2 }));
    device.press("original_clip");
    await device.until((panel) => panel.error_text === "The daemon (0.0.9) takes whole files only, and this is a part of one. Update it, or consolidate the clip.");
    device.quiet();
});

test("nonsense, wrong ids, wrong kinds and huge parts harm nothing", async (t) => {
    const { track, device, server } = await lied(t, {
        fuse(one, id) {
            one.raw(Buffer.from("no OSC at all"));
            one.raw(encoded("/tertium/done", [id]).subarray(0, 16));
            one.say("/tertium/done", "another-1", "path", "/x.wav", "sound", "c", "seconds", 1);
            one.say("/tertium/done", 7, "path", "/x.wav", "sound", "c", "seconds", 1);
            one.say("/tertium/done", "", "path", "/x.wav", "sound", "c", "seconds", 1);
            one.say("/tertium/accepted", id);
            one.say("/tertium/accepted", id, "job", 12);
            one.say("/tertium/nonsense", id, "x", 1);
            one.say("/tertium/progress", id, "stage");
            one.say("/tertium/progress", id, 5, 5);
            one.say("/tertium/progress", id, "fraction", "NaN", "stage", "x".repeat(5000), "seconds_left", -5);
            one.say("/tertium/progress", id, "fraction", 17.5, "stage", "beyond", "seconds_left", 1e30);
            one.say("/tertium/progress", id, "fraction", 0.1, "stage", "back again");
            one.say("/tertium/progress", id, "__proto__", 1, "constructor.prototype.x", 1);
            one.say("/tertium/progress", id, "a", 1, "a.b", 2);
            one.say("/tertium/take", id, "index", 1e9, "count", 1e9, "path", "/x.wav");
            one.say("/tertium/part", id, "event", "done", "key", "k", "part", 0, "parts", 1e9);
            one.say("/tertium/part", id, "event", "part", "key", "k", "part", 0, "parts", 1);
            one.say("/tertium/part", id, "event", "done", "key", "k", "part", 5, "parts", 2);
            one.say("/tertium/part", id, "event", "done", "part", "0", "parts", "2");
            for (let part = 0; part < 300; part += 1) {
                one.say("/tertium/part", id, "event", "done", "key", `k${part}`, "part", 0, "parts", 1000, "message", "y".repeat(900));
            }
        },
        cancel: (one, id) => one.say("/tertium/error", id),
    });
    device.press("fuse");
    await device.until((panel) => /^beyond|^back again/.test(panel.progress_text));
    assert.equal(device.panel.progress, 1, "between 0 and 1, and never falling");
    assert.ok(device.v8.evaluate("osc.incomplete.size") <= 65);
    assert.equal(clips(track), 0);
    device.press("cancel");
    await device.until((panel) => panel.error_text === "The daemon refused, and did not say why.");
    assert.ok(server.heard.length > 3);
    assert.equal(device.v8.evaluate("({}).x"), undefined);
    device.quiet();
});

for (const [how, done, told] of [
    ["without a path", ["sound", "c", "seconds", 2], /says that it is done, but not with what/],
    ["with a path that is none", ["sound", "c", "seconds", 2, "path", "result.wav"], /says that it is done, but not with what/],
    ["without a length", ["sound", "c", "seconds", -2, "path", "/x.wav"], /says that it is done, but not with what/],
    ["with a path of nothing", ["sound", "c", "seconds", 2, "path", "/nowhere/at/all.wav", "notes", "[7]"], /Live did not take all\.wav into slot 1/],
    ["with notes that are no list", ["sound", "c", "seconds", "two", "path", "/x.wav", "notes", "{"], /says that it is done, but not with what/],
]) {
    test(`a result ${how} is told of, and the device goes on`, async (t) => {
        const { track, device } = await lied(t, {
            fuse(one, id) {
                one.say("/tertium/accepted", id, "job", "j", "position", 0);
                one.say("/tertium/done", id, "job", "j", ...done);
                one.say("/tertium/done", id, "job", "j", ...done);
            },
        });
        device.press("fuse");
        await device.until((panel) => told.test(panel.error_text));
        assert.equal(clips(track), 0);
        assert.equal(device.v8.evaluate("jobs.open.size"), 0);
        device.live.console = device.live.console.filter((line) => !/absolute path pointing to a valid audio file/.test(line));
        device.quiet();
    });
}

test("windows, morphs and lists of nonsense are told of", async (t) => {
    const end = (...fields) => (one, id) => {
        one.say("/tertium/accepted", id, "job", "j", "position", 0);
        one.say("/tertium/done", id, "job", "j", "sound", "c", "seconds", 2, "path", "/x.wav", ...fields);
    };
    const { device } = await lied(t, {
        window: end("window.points", "[1,2,3]", "window.ratios", "[null]"),
        morph: end("takes", '[{"path": "relative"}, 7, null]'),
        checkpoints: (one, id) => one.say("/tertium/reply", id, "count", 1e9),
    });
    device.press("window");
    await device.until((panel) => /its curve cannot be read/.test(panel.error_text));
    device.press("morph");
    await device.until((panel) => /names no takes/.test(panel.error_text));
    assert.deepEqual(device.menu, ["none"]);
    device.quiet();
});

test("a job that the daemon has lost is asked for anew", async (t) => {
    let asked = 0;
    const { device } = await lied(t, {
        fuse(one, id) {
            asked += 1;
            if (asked === 1) {
                one.say("/tertium/accepted", id, "job", "j", "position", 0);
            } else {
                one.say("/tertium/failed", id, "job", "j2", "code", "internal", "message", "That was all", "remedy", "");
            }
        },
        job: (one, id) => one.say("/tertium/error", id, "code", "unknown_job", "message", "No job has this id."),
    });
    device.press("fuse");
    await device.until((panel) => panel.error_text === "That was all.");
    assert.equal(asked, 2);
    device.quiet();
});

test("a device never sends to its own port, and leaves one on which it hears itself", async (t) => {
    const { device } = deviceIn(t, { ready: false });
    device.v8.message("daemon", 21005);
    device.v8.evaluate("let draws = [5, 5, 6]; Math.random = () => ((draws.shift() ?? 7) + 0.5) / 9000;");
    device.v8.message("live_ready");
    assert.equal(device.daemon, 21005);
    assert.equal(device.port, 21006);
    device.v8.message("/tertium/hello", "x", "client", "Tertium for Live");
    assert.equal(device.port, 21007);
    device.quiet();
});

test("a device that hears another's answers on its port looks for one of its own", async (t) => {
    const { device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    const before = device.port;
    for (let stray = 0; stray < 30; stray += 1) {
        device.v8.message("/tertium/progress", "live-other-1", "job", "j", "stage", "x", "fraction", 0.5);
    }
    assert.notEqual(device.port, before);
    await device.take("original", house.tone("drums"));
    device.quiet();
});

test("the daemon can be looked for at once", async (t) => {
    const port = await freePort();
    const { device } = deviceIn(t, { port });
    await device.until((panel) => panel.light === 0);
    device.press("again");
    assert.equal(device.panel.light, 1);
    device.press("daemon", house.daemon.port);
    await device.there();
    assert.ok(fs.existsSync(house.daemon.home));
    await until(() => device.panel.error_text === " ");
    device.quiet();
});

test("a model that loads, and one that cannot be loaded, are told of", async (t) => {
    const home = folder(t);
    const slow = new Daemon(path.join(home, "slow"), { model: "slow" });
    t.after(() => slow.stop("SIGKILL"));
    await slow.up();
    const { device } = deviceIn(t, { port: slow.port });
    await device.until((panel) => panel.light === 1 && device.v8.evaluate("link.there()"));
    await device.there();
    assert.equal(device.panel.error_text, " ");
    device.quiet();
    device.close();
    const gated = new Daemon(path.join(home, "gated"), { model: "gated" });
    t.after(() => gated.stop("SIGKILL"));
    await gated.up();
    const { device: other } = deviceIn(t, { port: gated.port });
    await other.until((panel) => /Accept its licence\./.test(panel.error_text));
    assert.equal(other.panel.light, 1);
    other.quiet();
});
