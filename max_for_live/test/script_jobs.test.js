// From clip to clip through a real daemon: fusing, learning, morphing, measuring, cancelling, deadlines, and what blend does meanwhile.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const { measure } = require("./fake_live/wav.js");
const { deviceIn, sharedDaemon } = require("./harness.js");

const house = sharedDaemon({ step: 0.02 }); // seconds a step; prompts such as "step=0.1" say otherwise where a prompt leads

function texts(device, target) {
    return device.said.filter(([name, first]) => name === target && first === "set").map(([, , text]) => text);
}

function request(device, command) {
    return device.sent.filter((sent) => sent.command === command).pop().fields;
}

function gains(device) {
    const found = Array(8).fill(0);
    device.audio.filter(([selector]) => selector === "gain").forEach(([, take, gain]) => { found[take - 1] = gain; });
    return found;
}

test("clip, fuse, progress, new clip with a real file", async (t) => {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port });
    live.select(live.putClip(track, 0, house.tone("beat", { seconds: 1 }), { name: "Beat", looping: 1 }));
    await device.there();
    device.press("original_clip");
    await device.until((panel) => panel.original_name === "Beat");
    live.select(live.putClip(track, 1, house.tone("hum"), { name: "Hum" }));
    device.press("reference_clip");
    await device.until((panel) => panel.reference_name === "Hum");
    device.press("prompt", "not sent: a sound leads without one");
    device.press("steps", 40);
    device.press("seed", 7);
    device.press("fuse");
    await device.until((panel) => /is in slot 3 of Drums/.test(panel.status_text));
    const fractions = device.said.filter(([name]) => name === "progress").map(([, value]) => value);
    const rising = fractions.slice(fractions.lastIndexOf(0, fractions.length - 2), -1);
    assert.ok(rising.length > 3 && rising.every((value, at) => at === 0 || value > rising[at - 1]), fractions.join(" "));
    assert.equal(fractions[fractions.length - 1], 0);
    assert.ok(texts(device, "progress_text").some((text) => /^sample · \d+\.\d s$/.test(text)), texts(device, "progress_text").join("|"));
    assert.ok(texts(device, "status_text").includes("Fusing · 40 steps · seed 7"));
    const file = track.slots[2].clip.properties.file_path;
    assert.equal(measure(file).frames, 44100);
    assert.deepEqual(Object.entries(request(device, "fuse")).filter(([name]) => !["original", "reference", "slot"].includes(name)), [
        ["blend", 0.5], ["hold", 0.2], ["steps", 40], ["order", 3], ["eta", 1], ["seed", 7],
    ]);
    device.quiet();
});

test("the knobs are what the request says", async (t) => {
    const { device } = await house.ready(t);
    [["blend", 0.75], ["hold", 0], ["steps", 12], ["order", 1], ["solver", "ode"], ["seed", -1], ["destination", "audition"]]
        .forEach(([name, value]) => device.press(name, value));
    device.press("fuse");
    await device.until((panel) => /is ready/.test(panel.status_text));
    const fields = request(device, "fuse");
    assert.deepEqual([fields.blend, fields.hold, fields.steps, fields.order, fields.eta, "seed" in fields, "prompt" in fields, "deadline" in fields],
        [0.75, 0, 12, 1, 0, false, false, false]);
    assert.ok(texts(device, "status_text").some((text) => /^Fusing · 12 steps · seed \d+$/.test(text)), "the seed that was chosen is told");
    device.quiet();
});

test("what a fusion lacks is said, with what to do", async (t) => {
    const { device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    device.press("fuse");
    assert.equal(device.panel.error_text, "There is no original. Select a clip and press Take clip under Original, or drop a file there.");
    device.press("original_result");
    assert.equal(device.panel.error_text, "There is no result yet. Press Fuse first.");
    await device.take("original", house.tone("alone"));
    device.press("morph");
    assert.equal(device.panel.error_text, "There is no reference. Take a clip or a file, choose a checkpoint, or write a prompt.");
    device.press("learn");
    assert.match(device.panel.error_text, /There is no reference to learn\./);
    await device.take("reference", house.tone("unnamed"));
    device.press("learn");
    assert.equal(device.panel.error_text, "Learning needs a prompt. Write a few words that the reference shall answer to.");
    device.press("cancel");
    assert.equal(device.panel.status_text, "There is nothing to cancel.");
    assert.ok(!device.sent.some((sent) => ["fuse", "morph", "learn"].includes(sent.command)));
    device.press("prompt", "bright", "metal");
    device.press("reference_drop", "/nowhere.wav");
    device.press("fuse");
    assert.match(device.panel.error_text, /The daemon still reads a sound\. Press it again in a moment\./);
    device.quiet();
});

test("a prompt alone can lead", async (t) => {
    const { track, device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    await device.take("original", house.tone("alone"));
    device.press("prompt", "bright metal, Größe ☂");
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    const fields = request(device, "fuse");
    assert.deepEqual([fields.prompt, "reference" in fields], ["bright metal, Größe ☂", false]);
    assert.equal(track.slots[0].clip.properties.name, "alone + bright metal, Größe ☂ 50 %");
    device.quiet();
});

test("the last result can be the original of the next fusion", async (t) => {
    const { track, device } = await house.ready(t);
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    device.press("original_result");
    assert.equal(device.panel.original_name, "drums + hum 50 %");
    assert.equal(device.panel.original_length, "4 beats · 2.00 s");
    device.press("fuse");
    await device.until((panel) => /is in slot 2/.test(panel.status_text));
    assert.equal(track.slots[1].clip.properties.name, "drums + hum 50 % + hum 50 %");
    assert.equal(track.slots[1].clip.properties.loop_end, 4);
    device.quiet();
});

test("a morph is a row of clips, and takes between which blend fades at once", async (t) => {
    const { track, device } = await house.ready(t, { scenes: 3, reference: null });
    device.press("count", 4);
    device.press("prompt", "step=0.1");
    device.press("morph");
    await device.until(() => device.audio.filter(([selector]) => selector === "load").length === 2);
    assert.deepEqual(device.audio.filter(([selector]) => selector === "takes").pop(), ["takes", 4, 2000], "both ends come first");
    device.press("blend", 0.25);
    assert.deepEqual(gains(device).map((gain) => Number(gain.toFixed(6))), [0.75, 0, 0, 0.25, 0, 0, 0, 0], "between those that are there");
    await device.until((panel) => /is in slots 1 to 4 of Drums/.test(panel.status_text));
    assert.deepEqual(track.slots.map((slot) => slot.clip.properties.name), [1, 2, 3, 4].map((number) => `drums + step=0.1 ${number}`));
    const [first, last] = [track.slots[0], track.slots[3]].map((slot) => slot.clip.properties.color);
    assert.ok((first & 0xff) > (last & 0xff) && (first >> 16) < (last >> 16), "from the reference's colour to the original's");
    assert.ok(track.slots.every((slot) => slot.clip.properties.loop_end === 4 && fs.existsSync(slot.clip.properties.file_path)));
    for (const [blend, wanted] of [[0, [1, 0, 0, 0]], [1, [0, 0, 0, 1]], [1 / 3, [0, 1, 0, 0]], [0.5, [0, 0.5, 0.5, 0]], [0.9, [0, 0, 0.3, 0.7]]]) {
        device.press("blend", blend);
        const found = gains(device);
        wanted.forEach((gain, at) => assert.ok(Math.abs(found[at] - gain) < 1e-6, `${blend}: ${found}`));
        assert.ok(found.reduce((sum, gain) => sum + gain, 0) <= 1 + 1e-12, "never louder than the files");
    }
    const loaded = new Map(device.audio.filter(([selector]) => selector === "load").map(([, take, file]) => [take, file]));
    assert.deepEqual([...loaded.keys()].sort(), [1, 2, 3, 4]);
    const notes = device.audio.length;
    device.press("blend", 0.9);
    assert.equal(device.audio.length, notes, "nothing is said twice");
    device.quiet();
});

test("a measured window is drawn for its pair, with the equilibrium and the present position", async (t) => {
    const { device } = await house.ready(t);
    assert.deepEqual(device.panel.marks, [-1, -1, -1, 0.5]);
    device.press("window");
    await device.until((panel) => /The window is measured/.test(panel.status_text));
    const { curve_original: original, curve_reference: reference, marks } = device.panel;
    assert.deepEqual([original.length, reference.length], [64, 64]);
    assert.ok(original.every((value) => value === 0.5) && reference.every((value) => value === 0.5), "as the engine of the test measures");
    assert.ok(marks[0] >= 0 && marks[0] <= marks[1] && marks[1] <= marks[2] && marks[2] <= 1, marks.join(" "));
    device.press("blend", 0.3);
    assert.deepEqual(device.panel.marks, [...marks.slice(0, 3), 0.3]);
    await device.take("reference", house.tone("another"));
    assert.deepEqual(device.panel.marks, [-1, -1, -1, 0.3], "another pair has another window");
    assert.ok(device.panel.curve_original.every((value) => value === 0));
    assert.ok(device.live.song.tracks[0].slots.every((slot) => !slot.clip), "a measurement puts nothing into the set");
    device.quiet();
});

test("the curve goes by the calibration of blend", (t) => {
    const { device } = deviceIn(t, { ready: false });
    const drawn = (window) => JSON.stringify(device.v8.module("device/curve").drawn(window));
    const point = (intervention, ratio, original, reference) => ({ intervention, noise_to_signal: ratio, original, reference });
    const window = {
        ratios: "[100, 10, 1, 0.1, 0.01]", begin: 10, equilibrium: 22.5, end: 40,
        points: JSON.stringify([point(undefined, undefined, -0.2, 1), point(10, 10, 0.2, 0.9), point(25, 1, 0.7, 0.5), point(40, 0.1, 0.9, 0.2), point(50, undefined, 1, 0.1)]),
    };
    const { original, reference, marks } = JSON.parse(drawn(window));
    assert.deepEqual([original[0], original[63], reference[0], reference[63]], [0, 1, 1, 0.1]);
    const at = (values, blend) => values[Math.round(blend * 63)];
    assert.ok(Math.abs(at(original, 0.25) - 0.2) < 0.02 && Math.abs(at(original, 0.75) - 0.9) < 0.02 && Math.abs(at(reference, 0.5) - 0.5) < 0.02);
    [0.25, 0.25 + 0.25 * (12.5 / 15), 0.75].forEach((mark, index) => assert.ok(Math.abs(marks[index] - mark) < 1e-9, marks.join(" ")));
    for (const bad of [{}, { ratios: "[]", points: "[]" }, { ...window, ratios: "[1, -1]" }, { ...window, points: "nonsense" }, { ...window, ratios: 7 }]) {
        assert.equal(drawn(bad), "null");
    }
});

test("learning makes a checkpoint of a free name, which then leads; a fusion goes before it", async (t) => {
    const { device } = await house.ready(t, { reference: "bell" });
    device.press("steps", 10);
    device.press("prompt", "a", "bell", "step=0.02");
    device.press("learn");
    await device.until((panel) => panel.progress > 0);
    assert.match(device.panel.progress_text, /^\w+( · .*)?$/);
    device.press("destination", "audition");
    device.press("prompt");
    device.press("fuse");
    await device.until((panel) => /is ready: press Audition/.test(panel.status_text));
    await device.until((panel) => /Learned as bell: choose it under Checkpoint/.test(panel.status_text));
    await device.until(() => device.menu.includes("bell"));
    assert.equal(device.menu[0], "none");
    assert.equal(device.panel.checkpoint, "none", "what leads is not changed behind the player's back");
    device.press("prompt", "a bell");
    device.press("learn");
    await device.until((panel) => /Learned as bell 2/.test(panel.status_text));
    device.press("prompt");
    device.press("checkpoint", "bell 2");
    device.press("fuse");
    await device.until((panel) => /drums \+ bell 2 50 % is ready/.test(panel.status_text));
    assert.equal(request(device, "fuse").reference, "bell 2");
    device.quiet();
});

test("cancel stops the newest job, and the others go on", async (t) => {
    const { track, device } = await house.ready(t, { reference: null });
    device.press("prompt", "step=0.05");
    device.press("morph");
    device.press("fuse");
    await device.until(() => device.v8.evaluate("Array.from(jobs.open.values()).every((job) => job.job)"));
    device.press("cancel");
    await device.until(() => texts(device, "status_text").some((text) => /^Fusing was cancelled\./.test(text)));
    await device.until((panel) => /is in slots 1 to 5/.test(panel.status_text));
    assert.ok(track.slots.slice(0, 5).every((slot) => / \d$/.test(slot.clip.properties.name)));
    assert.equal(device.panel.progress, 0);
    assert.equal(device.panel.progress_text, " ");
    device.quiet();
});

test("a job that was not accepted yet is cancelled as soon as it is", async (t) => {
    const { track, device } = await house.ready(t);
    device.press("fuse");
    device.press("cancel");
    await device.until((panel) => /^Fusing was cancelled\./.test(panel.status_text));
    assert.ok(track.slots.every((slot) => !slot.clip));
    device.quiet();
});

test("the latest of several fusions wins its slot, and those that give way say so", async (t) => {
    const { track, device } = await house.ready(t);
    ["fuse", "fuse", "fuse"].forEach((button) => device.press(button));
    await device.until(() => track.slots.filter((slot) => slot.clip).length === 2);
    await device.until(() => device.v8.evaluate("jobs.open.size") === 0);
    assert.equal(track.slots.filter((slot) => slot.clip).length, 2, "the one that ran and the last one");
    assert.ok(texts(device, "status_text").some((text) => text === "Fusing was cancelled. A newer one took its place."), texts(device, "status_text").join("|"));
    device.quiet();
});

test("by the next bars: the seconds to them, or what is too late", async (t) => {
    const { live, device } = await house.ready(t, { speed: 1 }); // a deadline is real time
    const song = live.song.properties;
    Object.assign(song, { is_playing: 1, current_song_time: 17, tempo: 120 });
    const { deadline } = device.v8.module("live/transport");
    assert.equal(deadline(0), null);
    const cases = [
        [4, { seconds: 15 * 0.5 - 0.15, words: "by bar 9" }, {}],
        [1, { seconds: 3 * 0.5 - 0.15, words: "by bar 6" }, {}],
        [1, { seconds: 4.5 * 0.5 - 0.15, words: "by bar 7" }, { current_song_time: 19.5 }],
        [2, { seconds: 7 * 0.5 - 0.15, words: "by bar 9" }, { current_song_time: 17, signature_numerator: 3 }],
        [1, { seconds: 1.5 * 0.5 - 0.15, words: "by bar 3" }, { current_song_time: 4.5, signature_numerator: 6, signature_denominator: 8 }],
        [8, { seconds: 32 * 0.5 - 0.15, words: "within 8 bars" }, { signature_numerator: 4, signature_denominator: 4, is_playing: 0 }],
        [1, { seconds: 4 * 0.5 - 0.15, words: "by bar 6" }, { is_playing: 1, current_song_time: 16 }],
    ];
    for (const [bars, wanted, properties] of cases) {
        Object.assign(song, properties);
        const found = deadline(bars);
        assert.ok(Math.abs(found.seconds - wanted.seconds) < 1e-6, `${bars}: ${found.seconds} is not ${wanted.seconds}`);
        assert.equal(found.words, wanted.words);
    }
    device.press("by_next", 8);
    device.press("steps", 20);
    device.press("destination", "audition");
    device.press("fuse");
    await device.until((panel) => /is ready/.test(panel.status_text));
    assert.ok(Math.abs(request(device, "fuse").deadline - 7.85) < 1e-4);
    assert.ok(texts(device, "status_text").some((text) => /^Fusing · \d+ steps · seed \d+ · by bar 9$/.test(text)), texts(device, "status_text").join("|"));
    Object.assign(song, { current_song_time: 13, tempo: 180 });
    device.press("by_next", 1);
    device.press("steps", 250);
    await device.until(() => device.v8.evaluate("jobs.open.size") === 0);
    device.press("fuse");
    await device.until((panel) => /^Fusing was refused|is ready/.test(panel.status_text));
    const fitting = /by bar 5$/.test(texts(device, "status_text").filter((text) => /^Fusing · /.test(text)).pop());
    assert.ok(fitting || /cannot be done in .* s: it takes at least/.test(device.panel.error_text), device.panel.error_text);
    device.quiet();
});

test("failures of the daemon are sentences, and the device goes on", async (t) => {
    const { track, device } = await house.ready(t, { reference: null });
    for (const [prompt, told] of [["memory", /memory/i], ["disk", /room/], ["mistake", /log/]]) {
        device.press("prompt", prompt);
        device.press("fuse");
        await device.until((panel) => panel.error_text !== " " && told.test(panel.error_text));
        assert.equal(device.panel.status_text, "Fusing failed.");
        assert.equal(device.panel.progress, 0);
    }
    device.press("prompt", "rain");
    device.press("fuse");
    await device.until((panel) => /is in slot 1/.test(panel.status_text));
    assert.equal(device.panel.error_text, " ");
    assert.equal(track.slots.filter((slot) => slot.clip).length, 1);
    device.quiet();
});
