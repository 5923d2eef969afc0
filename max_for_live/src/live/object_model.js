// The Live Object Model, with its quirks in one place.

const { number, within } = require("../lib/text");

const LEAST_LIVE = [12, 2];
const DEEPEST = 16; // racks within racks

const live = {
    ready: false, // whether Live can be spoken to

    /** An object by its path or id; null where there is none. */
    at(place) {
        if (!this.ready) {
            return null;
        }
        const found = new LiveAPI(typeof place === "number" ? `id ${place}` : place);
        return Number(found.id) > 0 ? found : null;
    },

    /** The value of a property: get() gives arrays. */
    value(object, property) {
        const found = object.get(property);
        return Array.isArray(found) ? found[0] : found;
    },

    number(object, property) {
        return number(this.value(object, property), 0);
    },

    text(object, property) {
        const found = object.get(property);
        const text = Array.isArray(found) ? found.join(" ") : String(found);
        return text.replace(/^"(.*)"$/, "$1");
    },

    /** The ids of a list of children, or of a single one. */
    ids(object, property) {
        const found = object.get(property);
        const atoms = Array.isArray(found) ? found : [found];
        return atoms.filter((atom) => atom !== "id").map(Number).filter((id) => id > 0);
    },

    /** Those of a list of children that are there. */
    children(object, property) {
        return this.ids(object, property).map((id) => this.at(id)).filter(Boolean);
    },

    child(object, property) {
        const ids = this.ids(object, property);
        return ids.length ? this.at(ids[0]) : null;
    },

    /** A child of a list by its number, and a child of that; null where either is none. */
    grandchild(object, list, index, property) {
        const ids = this.ids(object, list);
        const found = index >= 0 && index < ids.length ? this.at(ids[index]) : null;
        return found ? this.child(found, property) : null;
    },

    version() {
        const app = this.at("live_app");
        const part = (name) => number([].concat(app.call(name))[0], 0);
        return app !== null ? [part("get_major_version"), part("get_minor_version")] : [0, 0];
    },

    atLeast(version) {
        const [major, minor] = this.version();
        return major > version[0] || (major === version[0] && minor >= version[1]);
    },

    /** That a later Live is needed, as a sentence. */
    tooOld(needed) {
        const [major, minor] = this.version();
        return `This needs Live ${needed.join(".")} or later; here runs ${major}.${minor}.`;
    },

    /** The track that the device is on, through whatever racks. */
    ownTrack() {
        let object = this.at("this_device");
        for (let depth = 0; object && depth < DEEPEST; depth += 1) {
            object = this.child(object, "canonical_parent");
            if (object && object.type === "Track") {
                return object;
            }
        }
        return null;
    },

    song() {
        return this.at("live_set");
    },

    /** Runs what writes to Live as one step of undo, where Live says that it has such steps. */
    oneStep(run) {
        const song = this.song();
        const known = song !== null && ["begin_undo_step", "end_undo_step"].every((name) => String(song.info).includes(name));
        if (known) {
            song.call("begin_undo_step");
        }
        try {
            return run();
        } finally {
            if (known) {
                song.call("end_undo_step");
            }
        }
    },

    tempo() {
        const song = this.song();
        return within(song ? this.number(song, "tempo") : 120, 20, 999) || 120;
    },
};

module.exports = { live, LEAST_LIVE };
