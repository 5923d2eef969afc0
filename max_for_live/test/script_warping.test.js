// Results are warped onto their beats, whatever Live's own warping makes of them at first or later.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { fused, pause, sharedDaemon } = require("./harness.js");

const house = sharedDaemon();

const AUTO_WARPS = {
    "one that begins at a transient": (length) => [[0, 0.13], [3.7, length * 0.95], [3.75, length * 0.97]],
    "one with many markers": (length) => [[0, 0], [0.9, length * 0.3], [1.8, length * 0.41], [3.1, length * 0.8], [3.2, length * 0.83]],
    "one whose first marker is elsewhere": (length) => [[2, 0], [2.03, length / 120]],
    "one at twice the tempo": (length) => [[0, 0], [0.25, length / 32]],
};
for (const [how, pairs] of Object.entries(AUTO_WARPS)) {
    test(`Live's own warping is undone: ${how}`, async (t) => {
        const { live, track, device } = await house.ready(t);
        live.autoWarp = (length) => pairs(length).map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
        await fused(device);
        const clip = track.slots[0].clip;
        for (const part of [0, 0.25, 0.5, 1]) {
            assert.ok(Math.abs(clip.atBeat(4 * part) - 88200 * part) < 44, `${4 * part} beats: ${clip.atBeat(4 * part)}`);
        }
        assert.deepEqual([clip.properties.warping, clip.properties.looping, clip.properties.loop_start, clip.properties.loop_end], [1, 1, 0, 4]);
        assert.equal(device.panel.note_text, " ");
    });
}

for (const [how, quirk] of Object.entries({ "a Dict alone as an argument": "wantsDict", "no marker at the very end of a file": "openEnd" })) {
    test(`a Live that takes ${how} is given what it takes`, async (t) => {
        const { live, track, device } = await house.ready(t);
        live.autoWarp = (length) => [[0, 0.01], [3, length / 2], [3.1, length / 2 + 0.01]].map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
        live[quirk] = true;
        await fused(device);
        const clip = track.slots[0].clip;
        assert.ok(Math.abs(clip.atBeat(4) - 88200) < 44 && Math.abs(clip.atBeat(0)) < 44, JSON.stringify(clip.markers));
        assert.deepEqual([clip.properties.warping, clip.properties.looping, clip.properties.loop_end], [1, 1, 4]);
        assert.equal(device.panel.note_text, " ");
    });
}

for (const [how, markers] of Object.entries({ even: [[0, 0], [1 / 32, 1 / 64]], uneven: [[0, 0.02], [3, 1.2], [3.03, 1.22]] })) {
    test(`what Live lays over a clip when it has analysed the file is mended: ${how} markers`, async (t) => {
        const { live, track, device } = await house.ready(t);
        live.analysis = { wait: 100, markers };
        await fused(device);
        const clip = track.slots[0].clip;
        await device.until(() => clip.markers.some((marker) => marker.beat_time === markers[1][0]));
        const steps = live.writes;
        await device.until(() => Math.abs(clip.atBeat(4) - 88200) < 44 && Math.abs(clip.atBeat(1) - 22050) < 44);
        assert.deepEqual([clip.properties.warping, clip.properties.looping, clip.properties.loop_start, clip.properties.loop_end], [1, 1, 0, 4]);
        await pause(2500);
        assert.equal(live.writes > steps, how === "uneven", "what is as it should be is not written again");
        device.quiet();
    });
}

test("copies in the arrangement are looked at again, too", async (t) => {
    const { live, track, device } = await house.ready(t);
    live.analysis = { wait: 100, markers: [[0, 0.02], [3, 1.2], [3.03, 1.22]] };
    device.press("destination", "arrangement");
    await fused(device, /is in the arrangement/);
    const [copy] = track.clips;
    await device.until(() => copy.markers[1].beat_time === 3);
    await device.until(() => Math.abs(copy.atBeat(4) - 88200) < 44);
    assert.deepEqual([copy.properties.start_time, copy.properties.end_time], [0, 4]);
    device.quiet();
});

test("a clip that Live warps only when it has analysed the file is warped then; what the user did meanwhile stays", async (t) => {
    const { live, track, device } = await house.ready(t);
    live.autoWarp = (length) => [[0, 0], [3, length / 2], [3.1, length / 2 + 0.01]].map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    live.stubborn = true;
    await fused(device);
    const [late, mine] = [track.slots[0].clip, () => track.slots[1].clip];
    assert.match(device.panel.note_text, /left unwarped/);
    live.stubborn = false;
    await device.until((panel) => late.properties.warping === 1 && panel.note_text === " ");
    assert.ok(Math.abs(late.atBeat(4) - 88200) < 44);
    await fused(device);
    mine().set("warping", 0);
    late.set("loop_end", 2);
    await pause(2500);
    assert.equal(mine().properties.warping, 0);
    assert.equal(late.properties.loop_end, 2);
});

test("where Live keeps its markers the clip is left unwarped, and that is said", async (t) => {
    const { live, track, device } = await house.ready(t);
    live.autoWarp = (length) => [[0, 0], [3, length / 2], [3.1, length / 2 + 0.01]].map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    live.stubborn = true;
    await fused(device);
    assert.equal(track.slots[0].clip.properties.warping, 0);
    assert.match(device.panel.note_text, /Live kept warp markers of its own, so the clip is left unwarped: it sounds right, but does not follow the tempo\./);
});

test("a result of no whole number of beats is left unwarped, as its original is", async (t) => {
    const { track, device } = await house.ready(t, { seconds: 1.77 });
    await fused(device);
    const made = track.slots[0].clip.properties;
    assert.deepEqual([made.warping, made.looping, made.sample_length], [0, 0, Math.round(1.77 * 44100)]);
    device.quiet();
});

test("the user's own changes of tempo between asking and placing do not change the beats", async (t) => {
    const { live, track, device } = await house.ready(t);
    device.press("fuse");
    live.song.properties.tempo = 60;
    await device.until((panel) => /is in slot/.test(panel.status_text));
    const clip = track.slots[0].clip;
    assert.equal(clip.properties.loop_end, 4, "four beats when it was taken");
    assert.ok(Math.abs(clip.atBeat(4) - 88200) < 44);
    device.quiet();
});
