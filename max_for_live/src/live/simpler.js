// A result as the sample of a Simpler.

const { live } = require("./object_model");
const { fileName, samePath } = require("../lib/paths");

const SIMPLER_LIVE = [12, 4];

/**
 * Into the Simpler that is selected, else the one on this track. Where it did not take the file, `late()` says whether it has by now:
 * Live may take it in its own time.
 */
function placeInSimpler(made) {
    if (!live.atLeast(SIMPLER_LIVE)) {
        return { problem: live.tooOld(SIMPLER_LIVE) + " Choose Slot, or drag the file into the Simpler.", notes: [] };
    }
    const simpler = findSimpler();
    if (!simpler) {
        return { problem: "There is no Simpler. Select one in Live, and press Place.", notes: [] };
    }
    const chosen = made[Math.floor(made.length / 2)];
    simpler.call("replace_sample", chosen.path);
    const summary = `${chosen.name} is in ${live.text(simpler, "name")}.`;
    if (plays(simpler, chosen.path)) {
        return { summary, notes: [] };
    }
    const id = Number(simpler.id);
    const late = () => {
        const found = live.at(id);
        return found !== null && plays(found, chosen.path);
    };
    return { problem: `The Simpler did not take ${fileName(chosen.path)}. Drag it from the results.`, summary, notes: [], late };
}

function plays(simpler, path) {
    const sample = live.child(simpler, "sample");
    return sample !== null && samePath(live.text(sample, "file_path"), path);
}

function findSimpler() {
    const isSimpler = (device) => device && live.text(device, "class_name") === "OriginalSimpler";
    const selected = live.at("live_set view selected_track view selected_device");
    if (isSimpler(selected)) {
        return selected;
    }
    const track = live.ownTrack();
    return (track ? live.children(track, "devices") : []).find(isSimpler) || null;
}

module.exports = { placeInSimpler };
