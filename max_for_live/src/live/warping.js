// Warp markers: read from a clip, thinned to what the daemon takes, and laid on a clip of ours so that its file fills its beats evenly.

const { live } = require("./object_model");
const { along } = require("../lib/interpolate");
const { number } = require("../lib/text");

const SLOWEST = 2; // BPM
const CLOSEST_MARKERS = 0.006; // s: the daemon wants 5 ms between two
const MOST_MARKERS = 500; // the daemon takes 512
const EVEN = 0.001; // s: markers that are off a straight line by less bend nothing
const WARP_MODES = [0, 1, 2, 3, 4, 6]; // all but REX, which is for files of its own

/** A clip's warp markers, [{beat, second}], in order; the last one only gives the tempo after the one before it. */
function warpMarkers(clip) {
    const said = dictionary(clip.get("warp_markers"));
    const markers = said && Array.isArray(said.warp_markers) ? said.warp_markers : [];
    return markers
        .map((marker) => ({ beat: number(marker.beat_time, NaN), second: number(marker.sample_time, NaN) }))
        .filter((marker) => isFinite(marker.beat) && isFinite(marker.second))
        .sort((one, other) => one.beat - other.beat);
}

/** A dictionary of Live's: as JSON, as an object, or as the name of a Dict. Null for whatever is none. */
function dictionary(found) {
    const [first, name] = Array.isArray(found) ? found : [found];
    if (first && typeof first === "object") {
        return first;
    }
    try {
        return JSON.parse(first === "dictionary" ? new Dict(name).stringify() : String(first));
    } catch (problem) {
        return null;
    }
}

/** Where Live does not list a clip's markers: the places of two beats, as markers. */
function markersAt(clip, from, to) {
    const places = [from, to].map((beat) => number([].concat(clip.call("beat_to_sample_time", beat))[0], NaN));
    const inSeconds = ((to - from) * 60) / (places[1] - places[0]) >= SLOWEST; // documentation does not say in what they are: samples would be very slow
    const rate = inSeconds ? 1 : sampleRate(clip);
    return [from, to].map((beat, at) => ({ beat, second: places[at] / rate })).filter((marker) => isFinite(marker.second));
}

function sampleRate(clip) {
    return live.number(clip, "sample_rate") || 44100;
}

/** The seconds of a clip's whole file. */
function secondsOfFile(clip) {
    return live.number(clip, "sample_length") / sampleRate(clip);
}

/**
 * The pairs of a second of the file and the second at which it sounds that a part is to be warped by: its two ends alone where all
 * between them lies on their line, else with as many of the inner ones as the daemon takes.
 */
function bends(begin, inner, end) {
    if (unevenness([begin, end], inner) <= EVEN) {
        return [begin, end];
    }
    const apart = (one, other) => Math.abs(one[0] - other[0]) >= CLOSEST_MARKERS && Math.abs(one[1] - other[1]) >= CLOSEST_MARKERS;
    const every = Math.ceil(inner.length / MOST_MARKERS);
    const pairs = [begin];
    inner.filter((pair, at) => at % every === 0).forEach((pair) => {
        if (apart(pair, pairs[pairs.length - 1]) && apart(pair, end)) {
            pairs.push(pair);
        }
    });
    return [...pairs, end];
}

/** By how many seconds the worst of some markers is off the lines through pairs. */
function unevenness(pairs, inner) {
    return inner.map((pair) => Math.abs(along(pairs, 0, 1, pair[0]) - pair[1])).reduce((worst, off) => Math.max(worst, off), 0);
}

/** Warps a clip evenly onto its beats and loops it; returns a sentence where Live did otherwise. */
function warp(clip, made) {
    clip.set("warping", 1);
    if (live.number(clip, "warping") !== 1) {
        return "Live does not warp this clip, so it plays unwarped";
    }
    if (WARP_MODES.includes(made.warpMode)) {
        clip.set("warp_mode", made.warpMode);
    }
    pin(clip, made);
    if (!isEven(warpMarkers(clip), made)) {
        return "Live kept warp markers of its own, so the clip is left unwarped: it sounds right, but does not follow the tempo";
    }
    setLoop(clip, made.beats);
    const length = live.number(clip, "loop_end") - live.number(clip, "loop_start");
    return Math.abs(length - made.beats) < 0.001 ? "" : `Live made the loop ${Number(length.toFixed(3))} beats long instead of ${made.beats}, so it is left unwarped`;
}

/** Lays a clip's first warp marker and one at the end of the file on one line, and takes away those that Live made between. */
function pin(clip, made) {
    if (isEven(warpMarkers(clip), made)) {
        return;
    }
    const end = Math.min(made.seconds, secondsOfFile(clip));
    const beatOf = (second) => (made.beats * second) / made.seconds;
    warpMarkers(clip).slice(1, -1).slice(0, 256).forEach((marker) => clip.call("remove_warp_marker", marker.beat));
    const [first] = warpMarkers(clip);
    if (first && Math.abs(first.beat - beatOf(first.second)) > 1e-6) {
        clip.call("move_warp_marker", first.beat, beatOf(first.second) - first.beat); // Live takes no second one at its place or beat
    }
    [end, end / 2].some((second) => addMarker(clip, beatOf(second), second));
    const rest = warpMarkers(clip).slice(1, -1).filter((marker) => Math.abs(marker.beat - beatOf(marker.second)) > 0.001);
    rest.slice(0, 8).forEach((marker) => clip.call("remove_warp_marker", marker.beat));
}

/** Adds a warp marker and looks whether it is there. Live takes the dictionary as an object, or else as a Dict. */
function addMarker(clip, beat, second) {
    const there = () => warpMarkers(clip).slice(0, -1)
        .some((marker) => Math.abs(marker.second - second) < 0.0005 && Math.abs(marker.beat - beat) < 0.001);
    clip.call("add_warp_marker", { beat_time: beat, sample_time: second });
    if (!there()) {
        const marker = new Dict();
        marker.set("beat_time", beat);
        marker.set("sample_time", second);
        clip.call("add_warp_marker", marker);
    }
    return there();
}

/** Whether markers lay a file evenly on its beats, to within a millisecond. */
function isEven(markers, made) {
    if (markers.length < 2) {
        return false;
    }
    const corners = [0, made.beats, ...markers.map((marker) => marker.beat).filter((beat) => beat > 0 && beat < made.beats)];
    return corners.every((beat) => Math.abs(along(markers, "beat", "second", beat) - (beat * made.seconds) / made.beats) < 0.001);
}

/** Loop and markers over a clip's beats, in an order in which no end comes before its start. */
function setLoop(clip, beats) {
    clip.set("looping", 1);
    clip.set("loop_start", 0);
    clip.set("loop_end", beats);
    clip.set("start_marker", 0);
    clip.set("end_marker", beats);
}

module.exports = { warpMarkers, markersAt, secondsOfFile, bends, unevenness, warp, pin, isEven };
