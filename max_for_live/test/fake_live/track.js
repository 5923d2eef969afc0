// Tracks of the fake Live and their slots: what takes a clip, and what refuses it.
"use strict";

const { Clip } = require("./clip.js");
const { AUDIO_ONLY, BAD_PATH, FROZEN, OCCUPIED, Thing, isAbsolute, refuse } = require("./thing.js");

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

module.exports = { Track, ClipSlot };
