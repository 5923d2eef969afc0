// A fake of Live: the part of its object model that the device uses, with the manners of the real one as documented and as others found
// them. Strings marked (reported) are Live's own as people quote them; the others are ours, since nobody has written down Live's.
"use strict";

const fs = require("node:fs");
const { measure } = require("./wav.js");

const OCCUPIED = "This clip slot already has a clip"; // (reported)
const AUDIO_ONLY = "Audio clips can only be created on audio tracks"; // (reported)
const BAD_PATH = "The path must be an absolute path pointing to a valid audio file"; // (reported in part)
const NOTIFIED = "Changes cannot be triggered by notifications. You will need to defer your response."; // (reported)
const UNDOING = "Changes cannot be triggered during undo or redo."; // (reported)
const FROZEN = "Clips cannot be created on frozen tracks";

/** What Live refuses: printed by LiveAPI, never thrown at a script. */
class Refused extends Error {}

function refuse(text) {
    throw new Refused(text);
}

function isAbsolute(path) {
    return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path);
}

/** An object of the model. `properties` can be got, those in `settable` set; `children` are objects or lists of them. */
class Thing {
    constructor(live, type, parent, properties = {}) {
        this.live = live;
        this.type = type;
        this.parent = parent;
        this.properties = properties;
        this.settable = ["name", "color"];
        this.since = {}; // name → [major, minor] from which a property or function is there
        live.register(this);
    }

    get functions() {
        return {};
    }

    get children() {
        return {};
    }

    set(name, value) {
        this.properties[name] = value;
    }

    gone() {
        this.live.things.delete(this.id);
    }
}

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

class Track extends Thing {
    constructor(live, song, { name, kind = "audio", frozen = false, color = 0x305070 }) {
        super(live, "Track", song, {
            name, color, has_audio_input: kind === "audio" ? 1 : 0, has_midi_input: kind === "midi" ? 1 : 0,
            is_foldable: kind === "group" ? 1 : 0, is_frozen: frozen ? 1 : 0,
        });
        this.kind = kind;
        this.slots = [];
        this.clips = [];
        this.devices = [];
        this.song = song;
        if (kind !== "return") {
            song.scenes.forEach((scene, index) => this.addSlot(index));
        }
    }

    get view() {
        if (!this.ownView) {
            this.ownView = new Thing(this.live, "Track.View", this);
            Object.defineProperty(this.ownView, "children", { get: () => ({ selected_device: this.selected || null }) });
        }
        return this.ownView;
    }

    get children() {
        return {
            clip_slots: this.slots, arrangement_clips: this.clips, devices: this.devices, view: this.view, canonical_parent: this.song,
        };
    }

    get functions() {
        return { duplicate_clip_to_arrangement: (clip, time) => this.copyToArrangement(clip, time) };
    }

    addSlot(index) {
        if (this.kind === "return") {
            return null;
        }
        const slot = new ClipSlot(this.live, this);
        this.slots.splice(index, 0, slot);
        return slot;
    }

    /** As in Live, what lies there already is cut away by what comes. */
    copyToArrangement(reference, time) {
        const source = this.live.thing(Number(String(reference).replace(/^id /, "")));
        if (!(source instanceof Clip)) {
            refuse("Invalid arguments");
        }
        if (source.track.kind !== this.kind) {
            refuse("A clip can only be duplicated to a track of its own kind");
        }
        const copy = source.copy(this, time);
        const end = time + copy.beats();
        const hurt = this.clips.filter((clip) => clip.properties.start_time < end && clip.properties.end_time > time);
        hurt.forEach((clip) => this.live.damaged.push(clip.properties.name));
        this.clips.push(copy);
        if (this.live.analysis) {
            setTimeout(() => copy.analysed(this.live.analysis.markers), this.live.analysis.wait);
        }
        this.live.undoable(() => {
            this.clips.splice(this.clips.indexOf(copy), 1);
            copy.gone();
        });
        return ["id", copy.id];
    }
}

class ClipSlot extends Thing {
    constructor(live, track) {
        super(live, "ClipSlot", track);
        this.track = track;
        this.clip = null;
        this.since = { create_audio_clip: [12, 0] };
    }

    get properties() {
        return { has_clip: this.clip ? 1 : 0, is_group_slot: this.track.kind === "group" ? 1 : 0 };
    }

    set properties(ignored) { }

    get children() {
        return { clip: this.clip, canonical_parent: this.track };
    }

    get functions() {
        return { create_audio_clip: (path) => this.createAudioClip(path), delete_clip: () => this.live.damaged.push("deleted") };
    }

    createAudioClip(path) {
        if (this.clip) {
            refuse(OCCUPIED);
        }
        if (this.track.kind !== "audio") {
            refuse(AUDIO_ONLY);
        }
        if (this.track.properties.is_frozen) {
            refuse(FROZEN);
        }
        const sample = isAbsolute(String(path)) ? this.live.measure(String(path)) : null;
        if (!sample) {
            refuse(BAD_PATH);
        }
        const clip = Clip.imported(this.live, this, String(path), sample);
        this.clip = clip;
        if (this.live.analysis) {
            setTimeout(() => clip.analysed(this.live.analysis.markers), this.live.analysis.wait);
        }
        this.live.undoable(() => this.empty());
        return ["id", clip.id];
    }

    empty() {
        if (this.clip) {
            this.clip.gone();
        }
        this.clip = null;
    }

    remove() {
        this.empty();
        this.track.slots.splice(this.track.slots.indexOf(this), 1);
        this.gone();
    }
}

class Clip extends Thing {
    /** As Live imports a file: warped, in mode 0 (Beats), by markers of its own choice. */
    static imported(live, slot, path, sample) {
        const seconds = sample.frames / sample.rate;
        const markers = live.autoWarp(seconds, live.song.properties.tempo);
        const beats = Clip.beatAt(markers, seconds);
        return new Clip(live, slot, slot.track, {
            name: path.replace(/^.*[\\/]/, "").replace(/\.[^.]*$/, ""), color: slot.track.properties.color, file_path: path,
            is_audio_clip: 1, is_midi_clip: 0, is_arrangement_clip: 0, warping: 1, warp_mode: 0, looping: 0, loop_start: 0, loop_end: beats,
            start_marker: 0, end_marker: beats, sample_length: sample.frames, sample_rate: sample.rate, pitch_coarse: 0, pitch_fine: 0,
            gain: 0.4, gain_display_string: "0.00 dB",
        }, markers);
    }

    static beatAt(markers, second) {
        return Clip.along(markers, "sample_time", "beat_time", second);
    }

    static along(markers, from, to, value) {
        let at = 0;
        while (at < markers.length - 2 && value >= markers[at + 1][from]) {
            at += 1;
        }
        const [one, other] = markers.slice(at, at + 2);
        return one[to] + ((value - one[from]) * (other[to] - one[to])) / (other[from] - one[from]);
    }

    constructor(live, parent, track, properties, markers = []) {
        super(live, "Clip", parent, properties);
        this.track = track;
        this.markers = markers; // the last is the hidden one that gives the tempo of the last stretch
        this.settable = [
            "name", "color", "warping", "warp_mode", "looping", "loop_start", "loop_end", "start_marker", "end_marker", "pitch_coarse",
        ];
        this.since = { warp_markers: [11, 0] };
    }

    get children() {
        return { canonical_parent: this.parent };
    }

    get functions() {
        if (!this.properties.is_audio_clip) {
            return {};
        }
        return {
            add_warp_marker: (marker) => this.addMarker(marker),
            move_warp_marker: (beat, distance) => this.moveMarker(beat, distance),
            remove_warp_marker: (beat) => this.removeMarker(beat),
            beat_to_sample_time: (beat) => this.atBeat(beat) / (this.live.placesInSeconds ? this.properties.sample_rate : 1),
        };
    }

    /** Live gives a dictionary. Which form of it reaches a script is not documented: JSON text, an object, or the name of a Dict. */
    get warp_markers() {
        const told = { warp_markers: this.properties.warping ? this.markers : [] };
        if (this.live.dictionaries === "object") {
            return [told];
        }
        if (this.live.dictionaries === "none") {
            return [0];
        }
        this.live.dicts.set("u1", JSON.stringify(told));
        return this.live.dictionaries === "name" ? ["dictionary", "u1"] : [JSON.stringify(told)];
    }

    /** Live analyses new files in its own time, and lays markers of its own over those of a clip then (reported). */
    analysed(markers) {
        this.markers = markers.map(([beat, second]) => ({ beat_time: beat, sample_time: second }));
    }

    beats() {
        const length = this.properties.loop_end - this.properties.loop_start;
        return this.properties.warping ? length : (length * this.live.song.properties.tempo) / 60;
    }

    set(name, value) {
        const own = this.properties;
        if (name === "warping" && Number(value) !== own.warping) {
            this.turnWarp(Number(value));
        } else if (name === "looping" && value && !own.warping) {
            refuse("Unwarped clips cannot be looped");
        } else if ((name === "loop_end" && value <= own.loop_start) || (name === "loop_start" && value >= own.loop_end)) {
            refuse("The loop's end must come after its start");
        } else if (name === "color") {
            own.color = Number(value) & 0xf8f8f8; // Live takes the nearest colour of its palette
        } else {
            own[name] = name === "name" ? String(value) : Number(value);
            const twin = { loop_start: "start_marker", loop_end: "end_marker", start_marker: "loop_start", end_marker: "loop_end" }[name];
            if (twin && !own.looping) {
                own[twin] = own[name];
            }
        }
    }

    /** Markers are beats in a warped clip, seconds in another. */
    turnWarp(on) {
        const own = this.properties;
        const [from, to] = on ? ["sample_time", "beat_time"] : ["beat_time", "sample_time"];
        ["loop_start", "loop_end", "start_marker", "end_marker"].forEach((name) => {
            own[name] = Clip.along(this.markers, from, to, own[name]);
        });
        own.warping = on;
        own.looping = on ? own.looping : 0;
    }

    /** `given` is an object or a Dict; a beat or a place that has a marker already is passed over in silence (both as reported). */
    addMarker(given) {
        const isDict = typeof given.stringify === "function";
        if (this.live.stubborn || (this.live.wantsDict && !isDict)) {
            refuse(isDict ? "Warp markers cannot be changed" : "Invalid arguments");
        }
        const { beat_time: beat, sample_time: second } = isDict ? JSON.parse(given.stringify()) : given;
        const visible = this.markers.slice(0, -1);
        if (visible.some((marker) => Math.abs(marker.beat_time - beat) < 1e-6 || Math.abs(marker.sample_time - second) < 1e-6)) {
            return;
        }
        const length = this.properties.sample_length / this.properties.sample_rate;
        if (this.live.openEnd && second > length - 0.001) {
            refuse("Invalid warp marker");
        }
        const inOrder = visible.every((marker) => (marker.beat_time < beat) === (marker.sample_time < second) && marker.sample_time !== second);
        if (!inOrder || second < 0 || second > this.properties.sample_length / this.properties.sample_rate + 1e-9) {
            refuse("Invalid warp marker");
        }
        visible.push({ beat_time: beat, sample_time: second });
        this.shadowed(visible.sort((one, other) => one.beat_time - other.beat_time));
    }

    moveMarker(beat, distance) {
        const marker = this.markers.slice(0, -1).find((one) => Math.abs(one.beat_time - beat) < 1e-6);
        if (!marker || this.live.stubborn) {
            refuse("No warp marker there");
        }
        marker.beat_time += distance;
        this.shadowed(this.markers.slice(0, -1));
    }

    removeMarker(beat) {
        const visible = this.markers.slice(0, -1);
        const rest = visible.filter((one) => Math.abs(one.beat_time - beat) > 1e-6);
        if (rest.length === visible.length || !rest.length || this.live.stubborn) {
            refuse("No warp marker there");
        }
        this.shadowed(rest);
    }

    /** The hidden last marker keeps the tempo of the stretch before it, or the set's where there is none. */
    shadowed(visible) {
        const last = visible[visible.length - 1];
        const before = visible[visible.length - 2];
        const pace = before
            ? (last.sample_time - before.sample_time) / (last.beat_time - before.beat_time) : 60 / this.live.song.properties.tempo;
        this.markers = [...visible, { beat_time: last.beat_time + 1 / 32, sample_time: last.sample_time + pace / 32 }];
    }

    atBeat(beat) {
        if (!this.properties.warping) {
            refuse("The clip is not warped");
        }
        return Clip.along(this.markers, "beat_time", "sample_time", beat) * this.properties.sample_rate;
    }

    copy(track, time) {
        const copy = new Clip(this.live, track, track, { ...this.properties, is_arrangement_clip: 1, start_time: time }, this.markers.slice());
        copy.properties.end_time = time + this.beats();
        return copy;
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

module.exports = { Live, Refused, Track, Clip, OCCUPIED, AUDIO_ONLY, BAD_PATH, NOTIFIED };
