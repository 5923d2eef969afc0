// The fake Live has the manners of the real one: what a script leans on by mistake must fail here too.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const path = require("node:path");
const { writeTone, measure } = require("./fake_live/wav.js");
const { Live } = require("./fake_live/model.js");
const { liveApiOf } = require("./fake_live/live_api.js");
const { folder } = require("./harness.js");

function set(t, options) {
    const live = new Live(options);
    const track = live.addTrack({ name: "808" });
    const device = live.addDevice(track, { name: "Tertium" });
    const LiveAPI = liveApiOf(live, device);
    return { live, track, LiveAPI, file: writeTone(path.join(folder(t), "tone.wav"), { seconds: 2 }) };
}

function said(live) {
    return live.console.splice(0).map((line) => line.replace("v8: LiveAPI: ", ""));
}

test("values are arrays, ids are text, paths are quoted, and a name that looks like a number is one", (t) => {
    const { live, track, LiveAPI } = set(t);
    const api = new LiveAPI("live_set tracks 0");
    assert.deepEqual([api.get("name"), api.id, api.path, api.type], [[808], String(track.id), '"live_set tracks 0"', "Track"]);
    assert.deepEqual(api.get("clip_slots").slice(0, 2), ["id", track.slots[0].id]);
    assert.deepEqual(new LiveAPI("live_set tracks 0 clip_slots 0").get("clip"), ["id", 0]);
    assert.deepEqual(new LiveAPI("this_device canonical_parent").id, String(track.id));
    assert.equal(new LiveAPI("live_set tracks 7").id, "0");
    assert.equal(new LiveAPI(null, `id ${track.id}`).id, String(track.id));
    assert.deepEqual(said(live), []);
});

test("what cannot be is printed and not thrown", (t) => {
    const { live, track, LiveAPI, file } = set(t);
    const slot = new LiveAPI("live_set tracks 0 clip_slots 0");
    slot.call("create_audio_clip", "tone.wav");
    slot.call("create_audio_clip", "/nowhere.wav");
    assert.equal(track.slots[0].clip, null);
    slot.call("create_audio_clip", file);
    slot.call("create_audio_clip", file);
    assert.deepEqual(said(live), [
        "The path must be an absolute path pointing to a valid audio file: 'create_audio_clip tone.wav'",
        "The path must be an absolute path pointing to a valid audio file: 'create_audio_clip /nowhere.wav'",
        `This clip slot already has a clip: 'create_audio_clip ${file}'`,
    ]);
    const keys = live.addTrack({ name: "Keys", kind: "midi" });
    const ice = live.addTrack({ name: "Ice", frozen: true });
    [keys, ice].forEach((one) => new LiveAPI(`id ${one.slots[0].id}`).call("create_audio_clip", file));
    new LiveAPI("live_set").get("nonsense");
    new LiveAPI("live_set").call("nonsense");
    new LiveAPI("live_set").set("nonsense", 1);
    new LiveAPI("live_set tracks 9").get("name");
    assert.deepEqual(said(live).map((line) => line.split(":")[0]), [
        "Audio clips can only be created on audio tracks", "Clips cannot be created on frozen tracks", "get", "call", "set", "get",
    ]);
});

test("a created clip is warped in mode 0 by Live's own markers, and is as long as its file", (t) => {
    const { track, LiveAPI, file } = set(t, { tempo: 93 });
    new LiveAPI("live_set tracks 0 clip_slots 0").call("create_audio_clip", file);
    const clip = track.slots[0].clip;
    assert.deepEqual([clip.properties.warping, clip.properties.warp_mode, clip.properties.loop_end], [1, 0, 4]);
    assert.equal(clip.properties.sample_length, measure(file).frames);
    assert.ok(Math.abs(clip.atBeat(4) - 88200) < 1);
});

test("nothing is written while Live notifies, or undoes", (t) => {
    const { live, LiveAPI } = set(t);
    const api = new LiveAPI(() => new LiveAPI("live_set").set("tempo", 90), "live_set");
    api.property = "tempo";
    live.notify(live.song, "tempo");
    live.undoable(() => new LiveAPI("live_set").set("tempo", 90));
    live.undo();
    assert.deepEqual(said(live), [
        "Changes cannot be triggered by notifications. You will need to defer your response.", "Changes cannot be triggered during undo or redo.",
    ]);
    assert.equal(live.song.properties.tempo, 120);
    assert.equal(live.observers.size, 1);
});

test("what came with a later Live is not there in an earlier one", (t) => {
    for (const [version, there] of [[[12, 2, 0], false], [[12, 3, 5], false], [[12, 4, 0], true]]) {
        const { live, track, LiveAPI, file } = set(t, { version });
        const simpler = live.addDevice(track, { name: "Simpler", class_name: "OriginalSimpler" });
        new LiveAPI(`id ${simpler.id}`).call("replace_sample", file);
        assert.equal(Boolean(simpler.sample), there);
        assert.deepEqual(said(live), there ? [] : ["call: no function called replace_sample"]);
    }
});

test("ids that are kept across a change of the set lead nowhere", (t) => {
    const { live, track, LiveAPI } = set(t);
    const id = track.slots[0].id;
    live.renumber();
    assert.equal(new LiveAPI(`id ${id}`).id, "0");
});

test("a clip that is copied into the arrangement cuts what lies there", (t) => {
    const { live, track, LiveAPI, file } = set(t);
    const clip = live.putClip(track, 0, file);
    const api = new LiveAPI("live_set tracks 0");
    api.call("duplicate_clip_to_arrangement", `id ${clip.id}`, 0);
    api.call("duplicate_clip_to_arrangement", `id ${clip.id}`, 2);
    assert.deepEqual(live.damaged, ["tone"]);
});

test("warp markers stay in order, within the file, and one is always left", (t) => {
    const { live, track, LiveAPI, file } = set(t);
    const clip = live.putClip(track, 0, file);
    const api = new LiveAPI(`id ${clip.id}`);
    api.call("add_warp_marker", { beat_time: 2, sample_time: 1.2 });
    api.call("add_warp_marker", { beat_time: 3, sample_time: 1.1 });
    api.call("add_warp_marker", { beat_time: 9, sample_time: 2.5 });
    api.call("remove_warp_marker", 2);
    api.call("remove_warp_marker", 0);
    assert.deepEqual(said(live).map((line) => line.split(":")[0]), ["Invalid warp marker", "Invalid warp marker", "No warp marker there"]);
    assert.deepEqual(clip.markers.slice(0, -1), [{ beat_time: 0, sample_time: 0 }]);
});
