// A fake of Live: a set in it, with the manners of the real one as documented and as others found them, so far as the device uses it.
"use strict";

const fs = require("node:fs");
const { Clip } = require("./clip.js");
const { BAD_PATH, NOTIFIED, Thing, UNDOING, isAbsolute, refuse } = require("./thing.js");
const { Track } = require("./track.js");
const { measure } = require("./wav.js");

class Application extends Thing {
    constructor(live) {
        super(live, "Application", null);
    }

    get functions() {
        const [major, minor, fix] = this.live.version;
        return { get_major_version: () => major, get_minor_version: () => minor, get_bugfix_version: () => fix };
    }
}

class Song extends Thing {
    constructor(live) {
        super(live, "Song", null, {
            tempo: 120, signature_numerator: 4, signature_denominator: 4, current_song_time: 0, is_playing: 0,
        });
        this.settable = ["tempo", "signature_numerator", "signature_denominator", "current_song_time", "is_playing"];
        this.tracks = [];
        this.scenes = [];
        this.view = new Thing(live, "Song.View", this);
        this.shown = { detail_clip: null, highlighted_clip_slot: null, selected_track: null };
        Object.defineProperty(this.view, "children", { get: () => this.shown });
    }

    get children() {
        return { tracks: this.tracks, scenes: this.scenes, view: this.view };
    }

    get functions() {
        const steps = { begin_undo_step: () => this.live.openStep(), end_undo_step: () => this.live.closeStep() };
        return { create_scene: (index) => this.createScene(index), ...(this.live.hasUndoSteps ? steps : {}) };
    }

    createScene(index) {
        if (this.scenes.length >= this.live.mostScenes) {
            refuse("The maximum number of scenes is reached");
        }
        const at = index < 0 ? this.scenes.length : index;
        const scene = new Thing(this.live, "Scene", this, { name: "" });
        this.scenes.splice(at, 0, scene);
        const added = this.tracks.map((track) => track.addSlot(at));
        this.live.undoable(() => {
            this.scenes.splice(this.scenes.indexOf(scene), 1);
            scene.gone();
            added.filter(Boolean).forEach((slot) => slot.remove());
        });
        return ["id", scene.id];
    }
}

class Device extends Thing {
    constructor(live, parent, properties) {
        super(live, properties.type || "Device", parent, properties);
        this.since = { replace_sample: [12, 4] };
        this.sample = null;
        this.chains = [];
    }

    get children() {
        return { canonical_parent: this.parent, sample: this.sample, chains: this.chains };
    }

    get functions() {
        if (this.properties.class_name !== "OriginalSimpler") {
            return {};
        }
        return {
            replace_sample: (path) => {
                if (!isAbsolute(String(path)) || !this.live.measure(String(path))) {
                    refuse(BAD_PATH);
                }
                const take = () => { this.sample = new Thing(this.live, "Sample", this, { file_path: String(path) }); };
                this.live.slowSimpler ? setTimeout(take, this.live.slowSimpler) : take();
            },
        };
    }
}

/** A running Live with a set in it. */
class Live {
    /**
     * @param version [major, minor, bugfix]
     * @param scenes how many rows the set has
     */
    constructor({ version = [12, 2, 0], scenes = 4, tempo = 120 } = {}) {
        this.version = version;
        this.things = new Map();
        this.next = 1;
        this.console = []; // what Live prints into Max's console
        this.damaged = []; // clips of the user that something was done to
        this.undoSteps = [];
        this.step = null; // what the open step of undo holds
        this.hasUndoSteps = true; // documentation does not list them, Live's own Python has them
        this.writes = 0; // what was set or called so far
        this.observers = new Set();
        this.notifying = 0;
        this.undoing = false;
        this.mostScenes = 1000;
        this.stubborn = false; // whether warp markers stay as they are
        this.wantsDict = false; // whether a dictionary as an argument must be a Dict
        this.slowSimpler = 0; // ms after which a Simpler has a sample
        this.placesInSeconds = false; // whether beat_to_sample_time gives seconds (documentation does not say)
        this.openEnd = false; // whether a file's very end takes no marker
        this.analysis = null; // {wait, markers}: what Live lays over a new clip after so many ms, when it has analysed the file
        this.dictionaries = "json";
        this.dicts = new Map();
        this.app = new Application(this);
        this.song = new Song(this);
        this.song.properties.tempo = tempo;
        for (let scene = 0; scene < scenes; scene += 1) {
            this.song.createScene(-1);
        }
        this.undoSteps = [];
    }

    register(thing) {
        thing.id = this.next;
        this.next += 1;
        this.things.set(thing.id, thing);
    }

    thing(id) {
        return this.things.get(id) || null;
    }

    /** All objects get other ids, as when a set is reopened. */
    renumber() {
        const all = Array.from(this.things.values());
        this.things.clear();
        this.next += 1000;
        all.forEach((thing) => this.register(thing));
    }

    has(thing, name) {
        const since = thing.since[name];
        return !since || this.version[0] > since[0] || (this.version[0] === since[0] && this.version[1] >= since[1]);
    }

    addTrack(options) {
        const track = new Track(this, this.song, options);
        this.song.tracks.push(track);
        return track;
    }

    moveTrack(track, index) {
        this.song.tracks.splice(this.song.tracks.indexOf(track), 1);
        this.song.tracks.splice(index, 0, track);
    }

    addDevice(parent, properties) {
        const device = new Device(this, parent, properties);
        if (parent instanceof Track) {
            parent.devices.push(device);
        }
        return device;
    }

    /** A rack on a track with one chain, into which devices can be put. */
    addRack(track) {
        const rack = this.addDevice(track, { name: "Rack", class_name: "AudioEffectGroupDevice", type: "RackDevice" });
        const chain = new Device(this, rack, { name: "Chain", type: "Chain" });
        rack.chains.push(chain);
        return chain;
    }

    /** Puts a clip of the user's into a slot. `properties` overrides what an imported clip has. */
    putClip(track, row, path, properties = {}, markers = null) {
        const slot = track.slots[row];
        slot.clip = Clip.imported(this, slot, path, this.measure(path));
        slot.clip.markers = markers || slot.clip.markers;
        if (properties.warping === 0) {
            slot.clip.turnWarp(0);
        }
        Object.assign(slot.clip.properties, properties);
        return slot.clip;
    }

    putMidiClip(track, row) {
        const slot = track.slots[row];
        slot.clip = new Clip(this, slot, track, { name: "notes", is_audio_clip: 0, is_midi_clip: 1, looping: 1, loop_start: 0, loop_end: 4 });
        return slot.clip;
    }

    select(clip) {
        this.song.shown.detail_clip = clip;
    }

    /**
     * Warp markers of an imported file. As Live with short files: it takes them for loops of 1, 2, 4 … beats, whichever is nearest.
     * Tests put other functions here: a long file's, or those of a Live whose preferences differ.
     */
    autoWarp(seconds, tempo) {
        const beats = 2 ** Math.round(Math.log2((seconds * tempo) / 60));
        const slope = seconds / beats;
        return [{ beat_time: 0, sample_time: 0 }, { beat_time: 1 / 32, sample_time: slope / 32 }];
    }

    measure(path) {
        return fs.existsSync(path) ? measure(path) : null;
    }

    undoable(step) {
        (this.step || this.undoSteps).push(step);
    }

    openStep() {
        if (this.step) {
            throw new Error("a step of undo is open already");
        }
        this.step = [];
    }

    closeStep() {
        const done = this.step;
        this.step = null;
        if (done.length) {
            this.undoSteps.push(() => done.reverse().forEach((step) => step()));
        }
    }

    undo() {
        const step = this.undoSteps.pop();
        this.undoing = true;
        step();
        this.undoing = false;
    }

    /** Why nothing may be written now; empty text where it may. */
    barred() {
        return this.notifying ? NOTIFIED : this.undoing ? UNDOING : "";
    }

    print(text) {
        this.console.push(text);
    }

    /** Tells observers that a property changed. Nothing may be written meanwhile. */
    notify(thing, property) {
        this.notifying += 1;
        Array.from(this.observers).filter((one) => one.thing() === thing && one.observed === property)
            .forEach((one) => one.callback([property, ...one.get(property)]));
        this.notifying -= 1;
    }
}

module.exports = { Live };
