// Bars: the name of one, and how long it is until the next, as a deadline.

const { live } = require("./object_model");
const { within } = require("../lib/text");

const PLACING = 0.15; // s that are left for making the clip
const SHORTEST = 0.5; // s: nearer bars cannot be meant
const LONGEST = 3600;

/** The beats of a bar; 0 where Live names no signature. */
function beatsOfBar(song) {
    return (live.number(song, "signature_numerator") * 4) / (live.number(song, "signature_denominator") || 4);
}

function barOf(song, time) {
    return `bar ${Math.floor(time / (beatsOfBar(song) || 4)) + 1}`;
}

/** Seconds to the next multiple of so many bars, and words for it; null for no bars. */
function deadline(bars) {
    const song = bars ? live.song() : null;
    if (!song) {
        return null;
    }
    const length = bars * beatsOfBar(song) || bars * 4;
    const beat = 60 / live.tempo();
    if (!live.number(song, "is_playing")) {
        return { seconds: within(length * beat - PLACING, 0.05, LONGEST), words: `within ${bars} bar${bars > 1 ? "s" : ""}` };
    }
    const time = live.number(song, "current_song_time");
    let next = (Math.floor(time / length + 1e-9) + 1) * length;
    if ((next - time) * beat - PLACING < SHORTEST) {
        next += length;
    }
    return { seconds: within((next - time) * beat - PLACING, 0.05, LONGEST), words: `by ${barOf(song, next)}` };
}

module.exports = { barOf, deadline };
