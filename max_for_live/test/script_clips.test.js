// Taking a clip: which part of its file, how long it sounds, what of it cannot be taken along; files.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { writeTone, measure } = require("./fake_live/wav.js");
const { deviceIn, sharedDaemon } = require("./harness.js");

const house = sharedDaemon();

/** Warp markers from [beat, second] pairs; the hidden one goes on at the last pace. */
function markers(...pairs) {
    const found = pairs.map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    const [one, other] = found.slice(-2);
    const pace = (other.sample_time - one.sample_time) / (other.beat_time - one.beat_time);
    return [...found, { beat_time: other.beat_time + 1 / 32, sample_time: other.sample_time + pace / 32 }];
}

/** A set in which a clip is selected, and taken as the original; gives what was asked and what the panel shows. */
async function taken(t, { file, properties, pins, tempo = 120, which = "original" }) {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port, tempo });
    const clip = live.putClip(track, 0, file, properties, pins);
    live.select(clip);
    await device.there();
    device.press(`${which}_clip`);
    await device.until((panel) => panel[`${which}_length`] !== " " || panel.error_text !== " ");
    device.quiet();
    const asked = device.sent.filter((sent) => sent.command === "add_sound").map((sent) => sent.fields)[0];
    const wave = device.audio.filter(([selector, slot]) => selector === "slot_wave" && slot === which).map(([, , file]) => file).pop();
    return { live, track, device, clip, asked, panel: device.panel, wave };
}

function near(actual, wanted, by = 0.0005) {
    assert.ok(Math.abs(actual - wanted) < by, `${actual} is not ${wanted}`);
}

test("an unwarped clip from end to end is its file", async (t) => {
    const { asked, panel, wave } = await taken(t, { file: house.tone("whole", { seconds: 1.7 }), properties: { warping: 0, name: "Whole" } });
    assert.deepEqual(Object.keys(asked).sort(), ["name", "path"]);
    assert.equal(panel.original_name, "Whole");
    assert.equal(panel.original_length, "1.70 s");
    assert.equal(measure(wave).frames, 1.7 * 44100);
});

test("an unwarped clip is taken between its markers", async (t) => {
    const { asked, panel, wave } = await taken(t, {
        file: house.tone("part", { seconds: 3 }), properties: { warping: 0, start_marker: 0.5, end_marker: 2.25 },
    });
    near(asked.start, 0.5);
    near(asked.end, 2.25);
    assert.equal(asked.seconds, undefined);
    assert.equal(panel.original_length, "1.75 s");
    assert.equal(measure(wave).frames, 1.75 * 44100);
});

test("a warped clip is as long as it sounds at the set's tempo", async (t) => {
    // Two seconds of file on 4 beats are 120 BPM; at 100 BPM they sound for 2.4 s.
    const { asked, panel, wave } = await taken(t, {
        file: house.tone("warped", { seconds: 2 }), tempo: 100, pins: markers([0, 0], [4, 2]),
        properties: { looping: 1, loop_start: 0, loop_end: 4, start_marker: 0, end_marker: 4 },
    });
    assert.deepEqual([asked.start, asked.end, asked.seconds], [0, 2, 2.4]);
    assert.equal(panel.original_length, "4 beats · 2.40 s");
    assert.equal(measure(wave).frames, 2.4 * 44100);
    assert.match(panel.note_text, /stretched from 2\.000 s to 2\.400 s, its pitch kept\./);
});

test("of a looped clip the loop is taken, of another what lies between its start and end", async (t) => {
    const file = house.tone("loop", { seconds: 4 });
    const pins = markers([0, 0], [8, 4]);
    const edges = { start_marker: 1, end_marker: 8, loop_start: 2, loop_end: 6 };
    const looped = await taken(t, { file, pins, properties: { looping: 1, ...edges } });
    near(looped.asked.start, 1);
    near(looped.asked.end, 3);
    assert.equal(looped.panel.original_length, "4 beats · 2.00 s");
    const once = await taken(t, { file, pins, properties: { looping: 0, ...edges } });
    near(once.asked.start, 0.5);
    near(once.asked.end, 4);
    assert.equal(once.panel.original_length, "7 beats · 3.50 s");
});

test("several warp markers are taken along, each piece at its own pace", async (t) => {
    const pins = markers([0, 0], [1, 0.5], [2, 1.1], [4, 2]);
    const { asked, panel, wave } = await taken(t, {
        file: house.tone("uneven", { seconds: 2 }), tempo: 100, pins, properties: { looping: 1, loop_start: 0, loop_end: 4 },
    });
    assert.deepEqual(JSON.parse(asked.markers), [[0, 0], [0.5, 0.6], [1.1, 1.2], [2, 2.4]]);
    assert.deepEqual(Object.keys(asked).sort(), ["markers", "name", "path"]);
    assert.match(panel.note_text, /warped from 2\.000 s to 2\.400 s by 4 markers, its pitch kept\./);
    assert.equal(panel.original_length, "4 beats · 2.40 s");
    assert.equal(measure(wave).frames, 2.4 * 44100);
    const part = await taken(t, {
        file: house.tone("uneven part", { seconds: 2 }), pins, properties: { looping: 1, loop_start: 0.5, loop_end: 3 },
    });
    assert.deepEqual(JSON.parse(part.asked.markers), [[0.25, 0], [0.5, 0.25], [1.1, 0.75], [1.55, 1.25]]);
    assert.equal(part.panel.original_length, "2.5 beats · 1.25 s");
});

test("warp markers are read in each form in which they may reach a script; without them two beats' places serve", async (t) => {
    const pins = markers([0, 0], [1, 0.5], [2, 1.1], [4, 2]);
    for (const [form, wanted, placesInSeconds] of [["json", 4], ["object", 4], ["name", 4], ["none", 0, false], ["none", 0, true]]) {
        const { live, track, device } = deviceIn(t, {});
        Object.assign(live, { dictionaries: form, placesInSeconds });
        live.select(live.putClip(track, 0, house.tone("form"), { looping: 1, loop_start: 1, loop_end: 4 }, pins));
        const { readClip, selectedClip } = device.v8.module("live/clips");
        const read = readClip(selectedClip());
        near(read.start, 0.5);
        near(read.end, 2);
        near(read.seconds, 1.5);
        assert.equal(read.pairs.length, wanted ? 3 : 2, form);
        device.quiet();
    }
    const { live, track, device } = deviceIn(t, { port: house.daemon.port });
    live.dictionaries = "none";
    const clip = live.putClip(track, 0, house.tone("untold"), { looping: 1, loop_start: 1, loop_end: 4 });
    clip.atBeat = () => undefined;
    live.select(clip);
    device.press("original_clip");
    assert.equal(device.panel.error_text, "Live does not say how that clip is warped. Consolidate it, or turn its Warp off.");
});

test("markers on one line, or outside the part, bend nothing", async (t) => {
    const even = await taken(t, {
        file: house.tone("even", { seconds: 2 }), pins: markers([0, 0], [1, 0.5], [3, 1.5], [4, 2]), properties: { looping: 1, loop_start: 0, loop_end: 4 },
    });
    assert.deepEqual(Object.keys(even.asked).sort(), ["name", "path"]);
    assert.equal(even.panel.note_text, " ");
    const outside = await taken(t, {
        file: house.tone("outside", { seconds: 4 }), pins: markers([0, 0], [4, 2.1], [8, 4]),
        properties: { looping: 1, loop_start: 4, loop_end: 8 },
    });
    near(outside.asked.start, 2.1);
    near(outside.asked.end, 4);
    near(outside.asked.seconds, 2);
});

test("markers too close or too many for the daemon are thinned, and the panel says how far off that is", async (t) => {
    const close = await taken(t, {
        file: house.tone("close", { seconds: 2 }), pins: markers([0, 0], [1.99, 0.998], [2, 1.04], [4, 2]),
        properties: { looping: 1, loop_start: 0, loop_end: 4 },
    });
    assert.deepEqual(JSON.parse(close.asked.markers), [[0, 0], [0.998, 0.995], [2, 2]]);
    assert.match(close.panel.note_text, /Some of its warp markers are too many or too close together: up to 37 ms off\./);
    const pairs = Array.from({ length: 1201 }, (_, at) => [at / 10, at / 20 + 0.004 * Math.sin(at)]);
    const { live, track, device } = deviceIn(t, {});
    live.select(live.putClip(track, 0, house.tone("many", { seconds: 60 }), { looping: 1, loop_start: 0, loop_end: 120 }, markers(...pairs)));
    const { partOf, readClip, selectedClip } = device.v8.module("live/clips");
    const read = readClip(selectedClip());
    const part = partOf(read);
    const sent = JSON.parse(part.markers);
    assert.ok(sent.length > 300 && sent.length <= 512, String(sent.length));
    assert.ok(part.markers.length < 16000);
    assert.match(read.notes.join(), /too many or too close together: up to \d+ ms off/);
});

test("markers beyond the file are drawn in, and that is said", async (t) => {
    const { asked, panel } = await taken(t, {
        file: house.tone("beyond", { seconds: 2 }), pins: markers([0, 0], [4, 2]), properties: { looping: 1, loop_start: -1, loop_end: 8 },
    });
    assert.equal(asked.start, undefined, "the whole file is left");
    assert.equal(panel.original_length, "4 beats · 2.00 s");
    assert.match(panel.note_text, /what the file has is taken, so the loop is shorter\./);
    const plain = await taken(t, { file: house.tone("late", { seconds: 2 }), properties: { warping: 0, start_marker: 1, end_marker: 5 } });
    near(plain.asked.end, 2);
    assert.match(plain.panel.note_text, /markers lie beyond its file; what the file has is taken\./);
});

test("what Live does to a clip's sound and is not taken along is said", async (t) => {
    const { panel } = await taken(t, {
        file: house.tone("bent", { seconds: 2 }), pins: markers([0, 0], [4, 2]),
        properties: { looping: 1, loop_end: 4, pitch_coarse: -3, pitch_fine: 50, warp_mode: 3, gain_display_string: "-6.0 dB" },
    });
    assert.match(panel.note_text, /transposed by -2\.5 semitones in Live; its file's pitch is taken\./);
    assert.match(panel.note_text, /gain of -6\.0 dB in Live is not taken along\./);
    assert.match(panel.note_text, /Re-Pitch changes the clip's pitch with the tempo; its file's pitch is taken\./);
});

test("a clip is found in the highlighted slot where none is shown; without one, and for MIDI, there is a sentence", async (t) => {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    device.press("original_clip");
    assert.equal(device.panel.error_text, "No clip is selected. Click an audio clip in Live, and press this again.");
    live.song.shown.highlighted_clip_slot = track.slots[2];
    device.press("original_clip");
    assert.match(device.panel.error_text, /No clip is selected/);
    live.putClip(track, 2, house.tone("highlighted"));
    device.press("original_clip");
    await device.until((panel) => panel.original_name === "highlighted");
    assert.equal(device.panel.error_text, " ");
    const midi = live.addTrack({ name: "Keys", kind: "midi" });
    live.select(live.putMidiClip(midi, 0));
    device.press("original_clip");
    assert.equal(device.panel.error_text, "That is a MIDI clip. Select an audio clip, or freeze and flatten its track.");
    live.select(live.putClip(track, 3, house.tone("unsaved"), { file_path: "" }));
    device.press("original_clip");
    assert.match(device.panel.error_text, /That clip has no file yet\./);
    device.quiet();
});

test("names and paths may have any letters; what cannot be a file's name is replaced in the sound's", async (t) => {
    const folder = path.join(house.sounds, "Übung ☂ 日本語 'q' \"d\"");
    fs.mkdirSync(folder);
    const file = writeTone(path.join(folder, "Größe, 100 % – naïve.wav"), { seconds: 1 });
    const { asked, panel } = await taken(t, { file, properties: { warping: 0, name: "  A/B: Größe? ☂ " } });
    assert.equal(asked.path, file);
    assert.equal(asked.name, "A-B- Größe- ☂");
    assert.equal(panel.original_name, "A/B: Größe? ☂");
    const numbers = await taken(t, { file: house.tone("808"), properties: { warping: 0, name: "808" } });
    assert.equal(numbers.panel.original_name, "808");
});

test("a dropped file is taken by Max's form of its path, and by the system's", async (t) => {
    const { device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    const file = house.tone("dropped file", { seconds: 1.5 });
    device.press("reference_drop", `Macintosh HD:${file}`);
    await device.until((panel) => panel.reference_name === "dropped file");
    assert.equal(device.sent.find((sent) => sent.command === "add_sound").fields.path, file);
    assert.equal(device.panel.reference_length, "3 beats · 1.50 s");
    device.press("original_drop", ...file.split(" ")); // atoms, as some objects give text with blanks
    await device.until((panel) => panel.original_name === "dropped file");
    device.press("original_drop", "kick.wav");
    assert.match(device.panel.error_text, /That is no file on this computer\./);
    device.quiet();
});

test("the daemon's refusals reach the panel as sentences with a remedy", async (t) => {
    const { device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    device.press("original_drop", path.join(house.sounds, "missing.wav"));
    await device.until((panel) => panel.error_text !== " ");
    assert.match(device.panel.error_text, /missing\.wav.*\. .+\./);
    device.press("original_drop", "/etc/passwd");
    await device.until((panel) => /passwd.*cannot be read as a sound/.test(panel.error_text));
    const text = path.join(house.sounds, "text.wav");
    fs.writeFileSync(text, "no audio");
    device.press("original_drop", text);
    await device.until((panel) => /text\.wav/.test(panel.error_text));
    assert.equal(device.panel.original_length, " ");
    await device.take("original", house.tone("good"));
    assert.equal(device.panel.error_text, " ", "an error goes when something is asked for again");
    device.quiet();
});

test("the latest clip asked for is the one that is taken", async (t) => {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port });
    await device.there();
    ["first", "second", "third"].forEach((name, row) => {
        live.select(live.putClip(track, row, house.tone(name, { seconds: 30 - 10 * row }), { warping: 0 }));
        device.press("original_clip");
    });
    await device.until((panel) => panel.original_name === "third");
    await new Promise((go) => setTimeout(go, 400));
    assert.equal(device.panel.original_name, "third");
});
