// The device in a set: saved and reopened, copied, moved, beside others, undone, removed.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { Live } = require("./fake_live/model.js");
const { TestDevice, daemonIn, deviceIn, folder, sharedDaemon, pause } = require("./harness.js");

const house = sharedDaemon({ step: 0.01 });

function content(device) {
    return JSON.parse(decodeURIComponent(device.memory));
}

/** What the hidden parameter holds once the device has written what it is to remember. */
async function saved(device, condition = () => true) {
    await device.until(() => device.memory && condition(content(device)));
    return device.memory;
}

function reopened(t, memory, { live = new Live(), name = "Drums", ...options } = {}) {
    const track = live.addTrack({ name });
    const device = new TestDevice(live, track, { memory, port: house.daemon.port, ...options });
    t.after(() => device.close());
    return { live, track, device };
}

test("a set that is saved and reopened has its sounds, its result, its curve, its prompt and its folder", async (t) => {
    const { device } = await house.ready(t);
    device.press("prompt", "Größe, \"100 %\"; it's\\n");
    device.press("window");
    await device.until((panel) => /The window is measured/.test(panel.status_text));
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    device.press("choose_results", house.sounds);
    const memory = await saved(device, (kept) => kept.folder === house.sounds && kept.made.length && !kept.jobs.length);
    assert.match(memory, /^[\w%.!~*()-]+$/, "nothing in it that a patcher or a parameter would read otherwise");
    device.close();

    const { track, device: again } = reopened(t, memory);
    await again.there();
    assert.deepEqual([again.panel.original_name, again.panel.reference_name, again.panel.original_length], ["drums", "hum", "4 beats · 2.00 s"]);
    assert.equal(again.panel.prompt_text, "Größe, \"100 %\"; it's\\n");
    assert.equal(again.panel.results_text, house.sounds);
    assert.ok(again.panel.marks[1] > 0 && again.panel.curve_original.some((value) => value > 0));
    assert.ok(again.audio.some(([selector, which, file]) => selector === "slot_wave" && which === "original" && fs.existsSync(file)));
    assert.ok(again.audio.some(([selector, take, file]) => selector === "load" && take === 1 && fs.existsSync(file)), "the last result can be heard");
    again.press("place");
    await again.until((panel) => /is in slot 1/.test(panel.status_text));
    again.press("fuse");
    await again.until((panel) => /is in slot 2/.test(panel.status_text));
    assert.equal(track.slots[1].clip.properties.name, "drums + hum 50 %");
    again.quiet();
});

test("the daemon keeps the sounds that the set names, and again when the set is opened beside another daemon", async (t) => {
    const { device } = await house.ready(t);
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    const asked = (one) => new Set(one.sent.filter((sent) => sent.command === "keep").map((sent) => sent.fields.sound));
    await device.until(() => asked(device).size === 3);
    const memory = await saved(device, (kept) => kept.made.length && !kept.jobs.length);
    const named = [content(device).original.id, content(device).reference.id, content(device).made[0].sound].sort();
    assert.deepEqual(Array.from(asked(device)).sort(), named);
    const keptOnDisk = () => ["sounds", "results"].map((folder) => path.join(house.daemon.home, folder))
        .flatMap((folder) => fs.readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => path.join(folder, name)))
        .map((file) => JSON.parse(fs.readFileSync(file, "utf8"))).filter((sidecar) => sidecar.kept).map((sidecar) => sidecar.id);
    await device.until(() => named.every((sound) => keptOnDisk().includes(sound)));
    device.quiet();
    device.close();

    const other = await daemonIn((run) => t.after(run), path.join(folder(t), "home"));
    const { device: again } = reopened(t, memory, { port: other.port });
    await again.there();
    await again.until(() => asked(again).size === 3);
    assert.deepEqual(Array.from(asked(again)).sort(), named, "a daemon that does not know them says so, and the device says nothing");
    assert.equal(again.panel.error_text, " ");
    again.quiet();
});

test("the newest step of undo is the clip, not what the device remembers; an older memory that undo brings back is mended later", async (t) => {
    const { live, device } = await house.ready(t);
    const before = await saved(device);
    const undoable = live.undoable.bind(live);
    live.undoable = (step) => {
        device.said.push(["a step of undo"]);
        undoable(step);
    };
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    await pause(700);
    const steps = device.said.map(([target]) => target);
    assert.ok(steps.includes("memory") && steps.lastIndexOf("memory") < steps.indexOf("a step of undo"), "nothing is remembered after the clip");
    const after = device.memory;
    device.v8.message("memory", before);
    device.memory = "";
    device.press("choose_results");
    assert.equal(await saved(device), after);
    device.quiet();
});

test("a set that was saved with Audition on plays its result again, and changes nothing; without a result it waits for one", async (t) => {
    const { device } = await house.ready(t);
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    const memory = await saved(device, (kept) => kept.made.length && !kept.jobs.length);
    device.close();
    const plays = (one) => one.audio.filter(([selector]) => selector === "play").map(([, on]) => on);
    for (const [kept, wanted] of [[memory, [1]], ["", []]]) {
        const { device: again } = reopened(t, kept, { ready: false });
        again.press("audition", 1);
        again.press("live_ready");
        assert.deepEqual([plays(again).filter(Boolean), again.panel.control, again.panel.error_text], [wanted, undefined, " "]);
        again.close();
    }
    const { device: empty } = reopened(t, "", { ready: false });
    empty.press("audition", 1);
    empty.press("live_ready");
    await empty.there();
    await empty.take("original", house.tone("drums"));
    await empty.take("reference", house.tone("hum"));
    empty.press("fuse");
    await empty.until((panel) => /is in slot 1/.test(panel.status_text));
    assert.equal(plays(empty).pop(), 1);
    empty.quiet();
});

test("a daemon is found again by its folder when its port is another", async (t) => {
    const { device } = await house.ready(t);
    const memory = await saved(device, (kept) => kept.home === house.daemon.home);
    const forgotten = encodeURIComponent(JSON.stringify({ ...content(device), port: 0 }));
    device.close();
    const { device: again } = reopened(t, forgotten, { port: 0 });
    await again.there();
    assert.equal(again.daemon, house.daemon.port);
    assert.ok(memory);
    again.quiet();
});

test("a result that came while the set was closed is kept, told of, and placed when it is wanted", async (t) => {
    const { device } = await house.ready(t, { reference: null });
    device.press("prompt", "step=0.05");
    device.press("fuse");
    const memory = await saved(device, (kept) => kept.jobs.length === 1 && kept.jobs[0].job);
    device.close();
    const { track, device: again } = reopened(t, memory);
    await again.until((panel) => /Fusing was finished while the set was closed\. Place puts it into the set\./.test(panel.status_text));
    assert.ok(track.slots.every((slot) => !slot.clip), "nothing is put into a set by itself when it is opened");
    again.press("place");
    await again.until((panel) => /is in slot 1/.test(panel.status_text));
    await saved(again, (kept) => !kept.jobs.length);
    again.quiet();
});

test("a copied device shares no port, no ids and no results with its model", async (t) => {
    const { live, track, device } = await house.ready(t);
    const memory = await saved(device, (kept) => kept.original.id && kept.reference.id);
    const { track: second, device: copy } = reopened(t, memory, { live, name: "Copy" });
    await copy.there();
    assert.notEqual(copy.port, device.port);
    assert.notEqual(copy.v8.evaluate("osc.session"), device.v8.evaluate("osc.session"));
    device.press("blend", 0.1);
    copy.press("blend", 0.9);
    device.press("fuse");
    copy.press("fuse");
    await device.until((panel) => /is in slot 1 of Drums/.test(panel.status_text));
    await copy.until((panel) => /is in slot 1 of Copy/.test(panel.status_text));
    assert.deepEqual([track, second].map((one) => one.slots.map((slot) => slot.clip && slot.clip.properties.name)), [
        ["drums + hum 10 %", null, null, null], ["drums + hum 90 %", null, null, null],
    ]);
    device.quiet();
    copy.quiet();
});

test("several devices on one track take different slots", async (t) => {
    const { live, track, device } = await house.ready(t);
    const others = [1, 2].map(() => {
        const other = new TestDevice(live, track, { port: house.daemon.port });
        t.after(() => other.close());
        return other;
    });
    for (const other of others) {
        await other.there();
        await other.take("original", house.tone("drums"));
        await other.take("reference", house.tone("hum"));
    }
    [device, ...others].forEach((one) => one.press("fuse"));
    await device.until(() => track.slots.filter((slot) => slot.clip).length === 3);
    const files = track.slots.filter((slot) => slot.clip).map((slot) => slot.clip.properties.file_path);
    assert.equal(new Set(files).size, 3);
    assert.equal(new Set([device, ...others].map((one) => one.port)).size, 3);
    [device, ...others].forEach((one) => one.quiet());
});

test("an undo that brings old memory back loses nothing; the echo of what was written is no news", async (t) => {
    const { device } = await house.ready(t);
    const before = await saved(device, (kept) => kept.reference.id && !kept.made.length);
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    await saved(device, (kept) => kept.made.length);
    device.v8.message("memory", before);
    device.press("place");
    await device.until((panel) => /is in slot 2/.test(panel.status_text));
    const waves = device.audio.filter(([selector]) => selector === "slot_wave").length;
    device.v8.message("memory", device.memory);
    assert.equal(device.audio.filter(([selector]) => selector === "slot_wave").length, waves);
    device.quiet();
});

test("a memory that is damaged, or of another make, is passed over", async (t) => {
    const packed = (value) => encodeURIComponent(JSON.stringify(value));
    const damaged = [
        "nonsense", "%", "0", packed(null), packed([]), packed({ schema: 2 }), packed({ schema: 1 }),
        packed({ schema: 1, original: 7, reference: { id: 7 }, made: "x", curve: { original: "x" }, jobs: [null, 7, { command: "constructor", id: "1" }], port: 1e9 }),
        packed({ schema: 1, original: { id: "x", path: 7, name: {}, beats: "four", seconds: null }, made: [null, { path: "x" }], folder: 7, home: "x", prompt: 7 }),
    ];
    for (const memory of damaged) {
        const { device } = reopened(t, memory, { port: house.daemon.port });
        await device.there();
        device.press("fuse");
        device.quiet();
        device.close();
    }
});

test("what is remembered is written seldom, and only when it changed", async (t) => {
    const { device } = await house.ready(t);
    await saved(device, (kept) => kept.reference.id);
    await pause(300);
    const written = () => device.said.filter(([target]) => target === "memory").length;
    const before = written();
    for (let turn = 0; turn < 200; turn += 1) {
        device.press("blend", turn / 200);
    }
    await pause(300);
    assert.equal(written(), before, "blend is a parameter of Live's and kept by it");
    device.press("prompt", "a");
    device.press("prompt", "b");
    await saved(device, (kept) => kept.prompt === "b");
    assert.equal(written(), before + 1);
    device.quiet();
});

test("a device that is removed is silent from then on, and live_ready counts once", async (t) => {
    const { device } = await house.ready(t);
    const session = device.v8.evaluate("osc.session");
    const hellos = device.sent.filter((sent) => sent.command === "hello").length;
    device.v8.message("live_ready");
    assert.equal(device.sent.filter((sent) => sent.command === "hello").length, hellos);
    assert.equal(device.v8.evaluate("osc.session"), session);
    device.v8.message("notifydeleted");
    assert.equal(device.v8.timers.size, 0);
    const sent = device.sent.length;
    await pause(900);
    assert.equal(device.sent.length, sent);
});
