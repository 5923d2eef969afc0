// Clips of the fake Live: imported and warped as Live does it, with warp markers that can be added, moved and removed within its rules.
"use strict";

const { Thing, refuse } = require("./thing.js");

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

module.exports = { Clip };
