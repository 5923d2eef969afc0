// Results as clips in empty slots of the Session, read back; scenes are added where there are no more, and no clip is ever written over.

const { LEAST_LIVE, live } = require("./object_model");
const { warp } = require("./warping");
const { fileName, samePath } = require("../lib/paths");
const { within } = require("../lib/text");

/** Why a track takes no audio clips; empty where it does. */
function refusal(track) {
    if (!track) {
        return "The device is on no track of the set.";
    }
    if (live.number(track, "is_foldable")) {
        return "A group track holds no clips. Move the device to an audio track, or choose Audition.";
    }
    if (!live.ids(track, "clip_slots").length) {
        return "This track holds no clips. Move the device to an audio track, or choose Audition.";
    }
    if (!live.number(track, "has_audio_input")) {
        return "A MIDI track holds no audio clips. Move the device to an audio track, or choose Simpler or Audition.";
    }
    return live.number(track, "is_frozen") ? "This track is frozen. Unfreeze it, and press Place." : "";
}

/**
 * Puts results into the next empty slots. Gives {summary, notes, rows, loose}, or {problem, notes} with a sentence; `loose` has, by the
 * number of a result, why its clip is not warped though it is to be.
 */
function placeInSlots(made) {
    const track = live.ownTrack();
    const problem = refusal(track) || (live.atLeast(LEAST_LIVE) ? "" : live.tooOld(LEAST_LIVE));
    if (problem) {
        return { problem, notes: [] };
    }
    const rows = emptyRows(track, made.length, made[0].row);
    if (!rows) {
        return { problem: "The track has no empty slot, and Live added no scene. Empty a slot, and press Place.", notes: [] };
    }
    const loose = new Map();
    for (let index = 0; index < made.length; index += 1) {
        const clip = createClip(track, rows[index], made[index]);
        if (!clip) {
            const problem = `Live did not take ${fileName(made[index].path)} into slot ${rows[index] + 1}. Drag it from the results.`;
            return { problem, notes: [], loose };
        }
        dress(clip, made[index], index, loose);
    }
    const name = live.text(track, "name");
    const where = made.length > 1 ? `slots ${rows[0] + 1} to ${rows[rows.length - 1] + 1}` : `slot ${rows[0] + 1}`;
    return { summary: `${made[0].name} is in ${where} of ${name}.`, notes: [], rows, loose };
}

/**
 * The rows of the next `count` empty slots in succession below a row; at the end of the set, with scenes added where they are missing; and where
 * Live adds none, from the top. Null where there are none.
 */
function emptyRows(track, count, after) {
    const taken = live.ids(track, "clip_slots").map(slotTaken);
    const first = firstRun(taken, count, within(after + 1, 0, taken.length));
    const added = addScenes(track, first + count - taken.length);
    const begin = added ? first : firstRun(taken, count, 0);
    return added || begin + count <= taken.length ? Array.from({ length: count }, (_, index) => begin + index) : null;
}

/** Where `count` free places in succession begin, at or after `from`; the last may lie beyond the end. */
function firstRun(taken, count, from) {
    let first = from;
    for (let row = from; row < taken.length && row - first < count; row += 1) {
        first = taken[row] ? row + 1 : first;
    }
    return first;
}

/** Adds scenes at the end; false as soon as Live adds none. */
function addScenes(track, missing) {
    for (let more = 0; more < missing; more += 1) {
        const before = live.ids(track, "clip_slots").length;
        live.song().call("create_scene", -1);
        if (live.ids(track, "clip_slots").length <= before) {
            return false;
        }
    }
    return true;
}

function slotTaken(id) {
    const slot = live.at(id);
    return !slot || live.number(slot, "has_clip") === 1;
}

/** Makes a clip in an empty slot and reads it back; null where Live made none. */
function createClip(track, row, made) {
    const slot = live.at(live.ids(track, "clip_slots")[row]);
    if (!slot || live.number(slot, "has_clip")) {
        return null;
    }
    slot.call("create_audio_clip", made.path);
    const clip = live.number(slot, "has_clip") ? live.child(slot, "clip") : null;
    return clip && samePath(live.text(clip, "file_path"), made.path) ? clip : null;
}

/** Names, colours and warps a clip of ours. */
function dress(clip, made, index, loose) {
    clip.set("name", made.name);
    if (made.color) {
        clip.set("color", made.color);
    }
    lay(clip, made, index, loose);
}

/** Warps a clip onto its beats, or leaves it unwarped where it has none; `loose` keeps what did not come out as wanted. */
function lay(clip, made, index, loose) {
    const problem = made.beats ? warp(clip, made) : "";
    loose.delete(index);
    if (!made.beats || problem) {
        clip.set("looping", 0);
        clip.set("warping", 0);
        if (problem) {
            loose.set(index, problem);
        }
    }
}

module.exports = { placeInSlots, lay };
