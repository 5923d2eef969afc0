// Where results go: into empty slots, the arrangement, a Simpler, the audition; read back, and never over anything of the user's.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const { Live } = require("./fake_live/model.js");
const { measure } = require("./fake_live/wav.js");
const { clips, deviceIn, folder, fused, pause, sharedDaemon } = require("./harness.js");

const house = sharedDaemon();

test("a result is a new clip below its original: named, coloured, warped, looped, as long as the original", async (t) => {
    const { live, track, device } = deviceIn(t, { port: house.daemon.port, tempo: 90, scenes: 5 });
    const pins = [[0, 0], [4, 2], [4.03125, 2.015625]].map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    const original = live.putClip(track, 1, house.tone("beat"), { looping: 1, loop_end: 4, name: "Beat", color: 0xd05020, warp_mode: 4 }, pins);
    live.putClip(track, 3, house.tone("other"));
    live.select(original);
    await device.there();
    device.press("original_clip");
    await device.until((panel) => panel.original_name === "Beat");
    await device.take("reference", house.tone("hum"));
    device.press("blend", 0.25);
    await fused(device);
    assert.deepEqual(clips(track), [null, "Beat", "Beat + hum 25 %", "other", null]);
    const clip = track.slots[2].clip;
    const made = clip.properties;
    assert.deepEqual(
        [made.warping, made.looping, made.loop_start, made.loop_end, made.start_marker, made.end_marker, made.warp_mode], [1, 1, 0, 4, 0, 4, 4]);
    assert.equal(made.sample_length, Math.round((4 * 60 / 90) * 44100), "four beats at 90 BPM");
    assert.ok(Math.abs(clip.atBeat(4) - made.sample_length) < 1, "the last beat is the file's last sample");
    assert.ok(Math.abs(clip.atBeat(2) - made.sample_length / 2) < 1);
    assert.notEqual(made.color, track.properties.color);
    assert.ok(fs.existsSync(made.file_path) && made.file_path.startsWith(path.join(house.daemon.home, "results")));
    assert.equal(device.panel.status_text, "Beat + hum 25 % is in slot 3 of Drums.");
    assert.deepEqual(live.damaged, []);
    device.quiet();
});

test("rows of clips are passed over, and scenes are added at the end of the set", async (t) => {
    const { live, track, device } = await house.ready(t, { scenes: 3 });
    [0, 1, 2].forEach((row) => live.putClip(track, row, house.tone(`mine ${row}`)));
    await fused(device);
    await fused(device);
    assert.deepEqual(clips(track), ["mine 0", "mine 1", "mine 2", "drums + hum 50 %", "drums + hum 50 %"]);
    assert.equal(live.song.scenes.length, 5);
    const [one, other] = [3, 4].map((row) => track.slots[row].clip.properties.file_path);
    assert.notEqual(one, other, "each result has a file of its own");
    device.quiet();
});

test("where Live adds no scene an empty slot further up is taken, and without one there is a sentence", async (t) => {
    const { live, track, device } = await house.ready(t, { scenes: 3 });
    live.mostScenes = 3;
    live.select(live.putClip(track, 1, house.tone("last"), { warping: 0 }));
    live.putClip(track, 2, house.tone("below"));
    device.press("original_clip");
    await device.until((panel) => panel.original_name === "last");
    await fused(device);
    assert.deepEqual(clips(track), ["last + hum 50 %", "last", "below"]);
    await fused(device);
    assert.equal(device.panel.error_text, "The track has no empty slot, and Live added no scene. Empty a slot, and press Place.");
    assert.equal(device.panel.status_text, "last + hum 50 % is finished, but not placed. Place tries again.");
    assert.ok(device.audio.some(([selector, , file]) => selector === "load" && fs.existsSync(file)), "it can be heard all the same");
    live.mostScenes = 4;
    device.press("place");
    await device.until((panel) => /is in slot 4/.test(panel.status_text));
    assert.equal(device.panel.error_text, " ");
    assert.deepEqual(live.console.map((line) => line.replace(/.*LiveAPI: /, "")).filter((line) => !/maximum number of scenes/.test(line)), []);
});

for (const [kind, options, told] of [
    ["a MIDI track", { kind: "midi" }, /A MIDI track holds no audio clips\. Move the device to an audio track, or choose Simpler or Audition\./],
    ["a group track", { kind: "group" }, /A group track holds no clips\. Move the device to an audio track, or choose Audition\./],
    ["a return track", { kind: "return" }, /This track holds no clips\./],
    ["a frozen track", { frozen: true }, /This track is frozen\. Unfreeze it, and press Place\./],
]) {
    test(`${kind} refuses clips: the panel says so, nothing is tried, and the result is kept`, async (t) => {
        const live = new Live();
        const track = live.addTrack({ name: "Other", ...options });
        const { device } = await house.ready(t, { live, track });
        await fused(device);
        assert.match(device.panel.error_text, told);
        assert.ok(track.slots.every((slot) => !slot.clip));
        const audio = live.addTrack({ name: "Audio" });
        device.thing.parent = audio;
        device.press("place");
        await device.until((panel) => /is in slot 1 of Audio/.test(panel.status_text));
        device.quiet();
    });
}

test("a device within racks finds its track", async (t) => {
    const live = new Live();
    const track = live.addTrack({ name: "Racked" });
    const { device } = await house.ready(t, { live, track, place: live.addRack(track) });
    await fused(device);
    assert.equal(device.panel.status_text, "drums + hum 50 % is in slot 1 of Racked.");
    device.quiet();
});

test("into the arrangement: at the playhead, or in the first gap after it", async (t) => {
    const { live, track, device } = await house.ready(t);
    live.song.properties.current_song_time = 8;
    device.press("destination", "arrangement");
    await fused(device, /is in the arrangement/);
    assert.equal(device.panel.status_text, "drums + hum 50 % is in the arrangement at bar 3, and in the Session.");
    assert.deepEqual(track.clips.map((clip) => [clip.properties.start_time, clip.properties.end_time]), [[8, 12]]);
    await fused(device, /is in the arrangement/);
    assert.match(device.panel.note_text, /Another clip is at the playhead, so it begins in the first gap after it\./);
    live.song.properties.current_song_time = 0;
    const user = live.thing(track.copyToArrangement(`id ${track.slots[0].clip.id}`, 3)[1]);
    assert.deepEqual([user.properties.start_time, user.properties.end_time], [3, 7]);
    live.damaged = [];
    await fused(device, /is in the arrangement/);
    assert.deepEqual(track.clips.map((clip) => clip.properties.start_time).sort((one, other) => one - other), [3, 8, 12, 16]);
    assert.deepEqual(live.damaged, [], "nothing was cut");
    assert.equal(clips(track).filter(Boolean).length, 3);
    device.quiet();
});

test("into a Simpler from Live 12.4 on", async (t) => {
    const old = await house.ready(t, { version: [12, 3, 1] });
    old.device.press("destination", "simpler");
    await fused(old.device);
    assert.match(old.device.panel.error_text, /This needs Live 12\.4 or later; here runs 12\.3\. Choose Slot, or drag the file into the Simpler\./);
    old.device.quiet();

    const { live, track, device } = await house.ready(t, { version: [12, 4, 0] });
    device.press("destination", "simpler");
    await fused(device);
    assert.equal(device.panel.error_text, "There is no Simpler. Select one in Live, and press Place.");
    const keys = live.addTrack({ name: "Keys", kind: "midi" });
    const simpler = live.addDevice(keys, { name: "Simpler", class_name: "OriginalSimpler" });
    live.song.shown.selected_track = keys;
    keys.selected = simpler;
    device.press("place");
    await device.until((panel) => panel.status_text === "drums + hum 50 % is in Simpler.");
    assert.ok(fs.existsSync(simpler.sample.properties.file_path));
    live.slowSimpler = 150;
    await fused(device, /not placed/);
    assert.match(device.panel.error_text, /The Simpler did not take/);
    await device.until((panel) => panel.status_text === "drums + hum 50 % is in Simpler." && panel.error_text === " ");
    assert.ok(track.slots.every((slot) => !slot.clip));
    device.quiet();
});

test("Live before 12.2 is told of, and is given no clip", async (t) => {
    const { live, track, device } = await house.ready(t, { version: [12, 1, 5] });
    assert.ok(device.said.some(([, , text]) => text === "This needs Live 12.2 or later; here runs 12.1."));
    await fused(device);
    assert.match(device.panel.error_text, /This needs Live 12\.2 or later; here runs 12\.1\./);
    assert.ok(track.slots.every((slot) => !slot.clip));
    assert.deepEqual(live.console, []);
});

test("only to be heard: nothing is put into the set", async (t) => {
    const { track, device } = await house.ready(t);
    device.press("audition", 1);
    assert.equal(device.panel.error_text, "There is nothing to hear yet. Press Fuse or Morph first.");
    assert.deepEqual(device.panel.control, ["audition", 0]);
    device.press("destination", "audition");
    await fused(device, /is ready: press Audition\./);
    assert.ok(track.slots.every((slot) => !slot.clip));
    const [, , file] = device.audio.find(([selector]) => selector === "load");
    assert.equal(measure(file).frames, 88200);
    assert.deepEqual(device.audio.filter(([selector]) => selector === "takes").pop(), ["takes", 1, 2000]);
    device.press("audition", 1);
    assert.deepEqual(device.audio.pop(), ["play", 1]);
    device.press("audition", 0);
    assert.deepEqual(device.audio.pop(), ["play", 0]);
    device.quiet();
});

test("after an undo the result can be placed again; ids that have changed meanwhile do not matter", async (t) => {
    const { live, track, device } = await house.ready(t);
    await fused(device);
    live.undo();
    assert.deepEqual(clips(track), [null, null, null, null]);
    live.renumber();
    device.press("place");
    await device.until(() => clips(track)[0] === "drums + hum 50 %");
    live.addTrack({ name: "New" });
    live.moveTrack(track, 1);
    live.renumber();
    await fused(device);
    assert.deepEqual(clips(track), ["drums + hum 50 %", "drums + hum 50 %", null, null]);
    device.quiet();
});

for (const [how, hasUndoSteps, steps] of [["where Live has steps of undo", true, 1], ["and without them one for each thing", false, 5]]) {
    test(`a row of clips and its scenes are one step of undo, ${how}`, async (t) => {
        const { live, track, device } = await house.ready(t, { scenes: 2 });
        live.hasUndoSteps = hasUndoSteps;
        live.putClip(track, 0, house.tone("mine"), { name: "mine" });
        device.press("count", 3);
        device.press("morph");
        await device.until((panel) => /is in slots 2 to 4/.test(panel.status_text));
        await pause(2500); // looked at again
        assert.deepEqual([live.undoSteps.length, live.step], [steps, null]);
        live.undoSteps.slice().forEach(() => live.undo());
        assert.deepEqual(clips(track), ["mine", null]);
        device.quiet();
    });
}

test("a slot that fills between looking and creating is left alone", async (t) => {
    const { live, track, device } = await house.ready(t);
    const slot = track.slots[0];
    const create = slot.createAudioClip;
    slot.createAudioClip = function (file) {
        live.putClip(track, 0, house.tone("quicker"), { name: "quicker" });
        return create.call(this, file);
    };
    await fused(device);
    assert.equal(clips(track)[0], "quicker");
    assert.match(device.panel.error_text, /Live did not take drums \+ hum.* into slot 1\. Drag it from the results\./);
    device.press("place");
    await device.until((panel) => /is in slot 2/.test(panel.status_text));
    assert.deepEqual(live.damaged, []);
});

test("nothing can be written to Live while it notifies, and the device never does", async (t) => {
    const { live, track, device } = await house.ready(t);
    device.press("fuse");
    const set = device.v8.evaluate("(path, name, value) => new LiveAPI(path).set(name, value)");
    const observer = device.v8.evaluate(`new LiveAPI(() => { new LiveAPI("live_set").set("tempo", 99); }, "live_set")`);
    observer.property = "tempo";
    set("live_set", "tempo", 100);
    live.notify(live.song, "tempo");
    assert.deepEqual(live.console, ["v8: LiveAPI: Changes cannot be triggered by notifications. You will need to defer your response."]);
    assert.equal(live.song.properties.tempo, 100);
    await device.until(() => clips(track)[0]);
    assert.equal(live.console.length, 1);
});

test("results are copied to a folder of the user's, whole, under free names; without it they stay where they are", async (t) => {
    const chosen = path.join(folder(t), "Meine Klänge");
    fs.mkdirSync(chosen);
    const { track, device } = await house.ready(t);
    device.press("choose_results", `Macintosh HD:${chosen}/`);
    assert.equal(device.panel.results_text, chosen);
    await fused(device);
    await fused(device);
    const files = [0, 1].map((row) => track.slots[row].clip.properties.file_path);
    assert.deepEqual(files.map((file) => path.dirname(file)), [chosen, chosen]);
    assert.equal(new Set(files).size, 2);
    for (const file of files) {
        const own = path.join(house.daemon.home, "results", path.basename(file));
        assert.ok(fs.readFileSync(file).equals(fs.readFileSync(own)), "the copy is the same to the byte");
    }
    fs.writeFileSync(path.join(chosen, "keep.txt"), "mine");
    fs.rmSync(path.join(house.daemon.home, "results"), { recursive: true, force: true, maxRetries: 10 });
    device.press("show_results");
    assert.deepEqual(device.v8.opened, [`file://${encodeURI(chosen)}`]);
    device.press("choose_results");
    assert.equal(device.panel.results_text, path.join(house.daemon.home, "results"));
    fs.mkdirSync(path.join(house.daemon.home, "results"));
    await fused(device);
    assert.equal(path.dirname(track.slots[2].clip.properties.file_path), path.join(house.daemon.home, "results"));
    device.quiet();
});

test("no file of the user's folder is written over, and a folder that is gone loses nothing", async (t) => {
    const chosen = folder(t);
    const { track, device } = await house.ready(t, { original: "taken", reference: "names" });
    fs.writeFileSync(path.join(chosen, "taken + names.wav"), "the user's own");
    device.press("choose_results", chosen);
    await fused(device);
    assert.equal(fs.readFileSync(path.join(chosen, "taken + names.wav"), "utf8"), "the user's own");
    assert.equal(track.slots[0].clip.properties.file_path, path.join(chosen, "taken + names 2.wav"));
    device.press("choose_results", path.join(chosen, "gone"));
    await fused(device);
    assert.equal(path.dirname(track.slots[1].clip.properties.file_path), path.join(house.daemon.home, "results"));
    assert.match(device.panel.note_text, /A result could not be copied to your folder; it is in the daemon's\./);
    await pause(50);
    device.quiet();
});

test("Windows' folders are opened by their address", (t) => {
    const { device } = deviceIn(t, { os: "windows" });
    device.press("choose_results", "C:\\Users\\Jörg\\My Sounds\\");
    device.press("show_results");
    assert.deepEqual(device.v8.opened, ["file:///C:/Users/J%C3%B6rg/My%20Sounds"]);
    device.press("copy_command");
    assert.deepEqual(device.said.slice(-3, -1), [["command_text", "set", "tertium serve"], ["command_text", "select"]]);
    assert.match(device.panel.status_text, /press Ctrl-C/);
});
