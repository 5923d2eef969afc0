// A second look at clips of ours: Live analyses a new file in its own time, and may lay warp markers of its own over ours when it has done so.

const { live } = require("./object_model");
const { lay } = require("./session_view");
const { isEven, pin, warpMarkers } = require("./warping");
const { samePath } = require("../lib/paths");

/**
 * Looks again at what was placed: a clip that is warped otherwise now, or could not be warped at first, is warped again; one whose Warp was
 * turned off since is left alone. Says whether another number of clips is left unwarped than before.
 */
function lookAgain(made, { rows, loose, copied }) {
    const track = live.ownTrack();
    if (!track || live.number(track, "is_frozen")) {
        return false;
    }
    const before = loose.size;
    const mends = [];
    made.forEach((one, index) => {
        const clip = live.grandchild(track, "clip_slots", rows[index], "clip");
        const asWeLeftIt = clip && isOurs(clip, one) && live.number(clip, "warping") === (loose.has(index) ? 0 : 1);
        if (asWeLeftIt && (loose.has(index) || !isEven(warpMarkers(clip), one))) {
            mends.push(() => lay(clip, one, index, loose));
        }
    });
    (copied ? live.children(track, "arrangement_clips") : []).forEach((copy) => {
        const one = made.find((candidate) => isOurs(copy, candidate));
        if (one && live.number(copy, "warping") === 1 && !isEven(warpMarkers(copy), one)) {
            mends.push(() => pin(copy, one));
        }
    });
    if (mends.length) {
        live.oneStep(() => mends.forEach((mend) => mend()));
    }
    return loose.size !== before;
}

function isOurs(clip, made) {
    return Boolean(made.beats) && samePath(live.text(clip, "file_path"), made.path);
}

module.exports = { lookAgain };
