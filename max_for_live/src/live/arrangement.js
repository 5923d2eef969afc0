// Results in the arrangement: at the playhead, or in the first gap after it, so that nothing there is cut.

const { live } = require("./object_model");
const { placeInSlots } = require("./session_view");
const { barOf } = require("./transport");

/** By way of the Session, where a clip can be dressed before it is copied; the Session's clip stays. */
function placeInArrangement(made) {
    const outcome = placeInSlots(made);
    if (outcome.problem) {
        return outcome;
    }
    const track = live.ownTrack();
    const song = live.song();
    const tempo = live.tempo();
    const notes = outcome.notes;
    const playhead = live.number(song, "current_song_time");
    let time = playhead;
    let begun = -1;
    for (let index = 0; index < made.length; index += 1) {
        const clip = live.grandchild(track, "clip_slots", outcome.rows[index], "clip");
        const length = made[index].beats || (made[index].seconds * tempo) / 60;
        const free = firstGap(track, time, length);
        if (!clip || !copyTo(track, clip, free)) {
            return { problem: `Live did not copy ${made[index].name} to the arrangement. ${outcome.summary}`, notes, loose: outcome.loose };
        }
        begun = index === 0 ? free : begun;
        time = free + length;
    }
    if (begun > playhead + 0.001) {
        notes.push("Another clip is at the playhead, so it begins in the first gap after it");
    }
    const summary = `${made[0].name} is in the arrangement at ${barOf(song, begun)}, and in the Session.`;
    return { summary, notes, rows: outcome.rows, loose: outcome.loose, copied: true };
}

/** The first time from `from` on at which nothing of a track's arrangement is overlapped. */
function firstGap(track, from, length) {
    const clips = live.children(track, "arrangement_clips")
        .map((clip) => ({ start: live.number(clip, "start_time"), end: live.number(clip, "end_time") }))
        .sort((one, other) => one.start - other.start);
    return clips.reduce((time, clip) => (clip.end > time + 0.0001 && clip.start < time + length - 0.0001 ? clip.end : time), from);
}

function copyTo(track, clip, time) {
    track.call("duplicate_clip_to_arrangement", `id ${clip.id}`, time);
    return live.children(track, "arrangement_clips").some((copy) => Math.abs(live.number(copy, "start_time") - time) < 0.001);
}

module.exports = { placeInArrangement };
