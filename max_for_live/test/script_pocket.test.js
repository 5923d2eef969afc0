// The whole way once with the embedded model: two recordings, a clip, its window, a morph.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const path = require("node:path");
const { measure } = require("./fake_live/wav.js");
const { PYTHON, ROOT, deviceIn, sharedDaemon } = require("./harness.js");

const house = sharedDaemon({ engine: "tertium.worker.torch_engine", model: "pocket" });

/** A recording that is shipped, as WAV, which is all that the fake Live can measure. */
function recording(name) {
    const from = path.join(ROOT, "server/tertium/assets/demo", `${name}.flac`);
    const to = path.join(house.sounds, `${name}.wav`);
    const program = "import sys, soundfile; soundfile.write(sys.argv[2], *soundfile.read(sys.argv[1]))";
    execFileSync(PYTHON, ["-c", program, from, to]);
    return to;
}

test("recordings become a clip, a window and a morph with the embedded model", async (t) => {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port, tempo: 100, scenes: 8 });
    const drums = recording("safari_drums");
    const length = measure(drums).frames / measure(drums).rate;
    const pins = [[0, 0], [8, length], [8.03125, length * (8.03125 / 8)]].map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    live.select(live.putClip(track, 0, drums, { name: "Safari drums", looping: 1, loop_start: 0, loop_end: 8, warp_mode: 0 }, pins));
    await device.there();
    assert.match(device.panel.model_text, /^pocket · cpu$/);
    device.press("original_clip");
    await device.until((panel) => panel.original_name === "Safari drums");
    assert.equal(device.panel.original_length, "8 beats · 4.80 s");
    await device.take("reference", recording("haunted_hum"));
    device.press("steps", 12);
    device.press("seed", 3);
    device.press("fuse");
    await device.until((panel) => /is in slot 2 of Drums/.test(panel.status_text));
    const clip = track.slots[1].clip;
    assert.equal(clip.properties.sample_length, 4.8 * 44100);
    assert.ok(Math.abs(clip.atBeat(8) - 4.8 * 44100) < 1);

    device.press("window");
    await device.until((panel) => /The window is measured\. Equal likeness at blend 0\.\d\d/.test(panel.status_text));
    const { curve_original: original, curve_reference: reference, marks } = device.panel;
    assert.ok(original[63] > 0.95 && reference[0] > 0.95, "each end is its own sound");
    assert.ok(original[63] > original[0] + 0.2 && reference[0] > reference[63] + 0.2, "the one rises, the other falls");
    const at = Math.round(marks[1] * 63);
    assert.ok(marks[0] < marks[1] && marks[1] < marks[2], marks.join(" "));
    assert.ok(Math.abs(original[at] - reference[at]) < 0.1, `alike at the equilibrium: ${original[at]} and ${reference[at]}`);

    device.press("count", 3);
    device.press("morph");
    await device.until((panel) => /is in slots 3 to 5 of Drums/.test(panel.status_text));
    assert.ok([2, 3, 4].every((row) => track.slots[row].clip.properties.sample_length === 4.8 * 44100));
    device.quiet();
});
