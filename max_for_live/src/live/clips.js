// Reading a clip: which part of a file sounds, how long, and what of it cannot be taken along.

const { live } = require("./object_model");
const { bends, markersAt, secondsOfFile, unevenness, warpMarkers } = require("./warping");
const { along } = require("../lib/interpolate");
const { isAbsolute, stem, systemPath } = require("../lib/paths");
const { line, within } = require("../lib/text");

const LEAST_STRETCH = 0.0005; // s: what is nearer than that is taken as it is

/** The clip that is shown in Live's clip view, else that of the highlighted slot; null where there is none. */
function selectedClip() {
    const shown = live.at("live_set view detail_clip");
    if (shown) {
        return shown;
    }
    const slot = live.at("live_set view highlighted_clip_slot");
    return slot && live.number(slot, "has_clip") ? live.child(slot, "clip") : null;
}

/**
 * What there is to know of an audio clip: {name, path, start, end, seconds, beats, pairs, …}. `start` and `end` are seconds of the file, `seconds`
 * is how long that part sounds, `pairs` what of it sounds when; what cannot be taken along is said in `notes`. `problem` is a sentence where
 * it cannot be taken at all.
 */
function readClip(clip) {
    if (!live.number(clip, "is_audio_clip")) {
        return { problem: "That is a MIDI clip. Select an audio clip, or freeze and flatten its track." };
    }
    const path = live.text(clip, "file_path");
    if (!isAbsolute(systemPath(path))) {
        return { problem: "That clip has no file yet. Wait until it is recorded, or save the set." };
    }
    const looping = live.number(clip, "looping") === 1;
    const [first, last] = looping ? ["loop_start", "loop_end"] : ["start_marker", "end_marker"];
    const warped = live.number(clip, "warping") === 1;
    const markers = warped ? warpMarkers(clip) : [];
    const read = {
        path: systemPath(path), name: line(live.text(clip, "name"), 100) || stem(path), color: live.number(clip, "color"),
        file: secondsOfFile(clip),
        row: rowOf(clip), warpMode: warped ? live.number(clip, "warp_mode") : null, notes: leftBehind(clip, warped),
    };
    const from = live.number(clip, first);
    const to = live.number(clip, last);
    if (!(to > from)) {
        return { problem: "That clip has no length between its markers. Set them apart." };
    }
    if (!warped) {
        return plainPart(read, from, to);
    }
    const known = markers.length > 1 ? markers : markersAt(clip, from, to);
    return known.length > 1 && known[1].second > known[0].second ? warpedPart(read, known, from, to)
        : { problem: "Live does not say how that clip is warped. Consolidate it, or turn its Warp off." };
}

function plainPart(read, from, to) {
    const start = Math.max(0, from);
    const end = read.file > 0 ? Math.min(to, read.file) : to;
    if (end - start < to - from - 0.001) {
        read.notes.push("The clip's markers lie beyond its file; what the file has is taken");
    }
    return { ...read, start, end, seconds: end - start, beats: wholeBeats(end - start), warped: false };
}

function warpedPart(read, markers, from, to) {
    const beatsOfFile = [0, read.file || Infinity].map((second) => along(markers, "second", "beat", second));
    const first = Math.max(from, beatsOfFile[0]);
    const last = Math.min(to, beatsOfFile[1]);
    if (last - first < to - from - 0.001) {
        read.notes.push("The clip's markers lie beyond its file; what the file has is taken, so the loop is shorter");
    }
    const beats = last - first;
    const length = (beats * 60) / live.tempo();
    const [start, end] = [first, last].map((beat) => within(along(markers, "beat", "second", beat), 0, read.file || Infinity));
    const inner = markers.slice(0, -1).filter((marker) => marker.beat > first && marker.beat < last)
        .map((marker) => [marker.second, ((marker.beat - first) / beats) * length]);
    const pairs = bends([start, 0], inner, [end, length]);
    const off = unevenness(pairs, inner);
    if (off > 0.003) {
        read.notes.push(`Some of its warp markers are too many or too close together: up to ${Math.round(off * 1000)} ms off`);
    }
    return { ...read, start, end, seconds: length, beats, warped: true, pairs };
}

/** What Live does to a clip's sound and the file does not have. */
function leftBehind(clip, warped) {
    const notes = [];
    const pitch = live.number(clip, "pitch_coarse") + live.number(clip, "pitch_fine") / 100;
    if (pitch) {
        notes.push(`The clip is transposed by ${pitch > 0 ? "+" : ""}${pitch.toFixed(2).replace(/\.?0+$/, "")} semitones in Live; its file's pitch is taken`);
    }
    const gain = live.text(clip, "gain_display_string");
    if (gain && !/^[-+]?0([.,]0+)? *dB$/.test(gain)) {
        notes.push(`The clip's gain of ${gain} in Live is not taken along`);
    }
    if (warped && live.number(clip, "warp_mode") === 3) {
        notes.push("Re-Pitch changes the clip's pitch with the tempo; its file's pitch is taken");
    }
    return notes;
}

/** The number of beats, where a length at this tempo is a whole one to within 10 ms; else null. */
function wholeBeats(length) {
    const tempo = live.tempo();
    const nearest = Math.round((length * tempo) / 60);
    return nearest >= 1 && Math.abs((nearest * 60) / tempo - length) < 0.01 ? nearest : null;
}

/** The row of a session clip in its track, -1 for one of the arrangement. */
function rowOf(clip) {
    const slot = live.child(clip, "canonical_parent");
    const track = slot && slot.type === "ClipSlot" ? live.child(slot, "canonical_parent") : null;
    return track ? live.ids(track, "clip_slots").indexOf(Number(slot.id)) : -1;
}

/** The fields of add_sound that say which part of a file is meant, and how it sounds; none for the whole of it as it is. */
function partOf(read) {
    if (read.pairs && read.pairs.length > 2) {
        const exact = (value) => Math.round(value * 1e5) / 1e5;
        return { markers: JSON.stringify(read.pairs.map((pair) => pair.map(exact))) };
    }
    const cut = read.start > LEAST_STRETCH || (read.file > 0 && read.end < read.file - LEAST_STRETCH);
    const stretched = Math.abs(read.end - read.start - read.seconds) > LEAST_STRETCH;
    const part = cut || stretched ? { start: read.start, end: read.end } : {};
    return stretched ? { ...part, seconds: read.seconds } : part;
}

module.exports = { selectedClip, readClip, partOf, wholeBeats };
