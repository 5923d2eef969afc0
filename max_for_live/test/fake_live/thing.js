// An object of the fake Live's model, and what Live says when it refuses something. Strings marked (reported) are Live's own as people quote
// them; the others are ours, since nobody has written down Live's.
"use strict";

const OCCUPIED = "This clip slot already has a clip"; // (reported)
const AUDIO_ONLY = "Audio clips can only be created on audio tracks"; // (reported)
const BAD_PATH = "The path must be an absolute path pointing to a valid audio file"; // (reported in part)
const NOTIFIED = "Changes cannot be triggered by notifications. You will need to defer your response."; // (reported)
const UNDOING = "Changes cannot be triggered during undo or redo."; // (reported)
const FROZEN = "Clips cannot be created on frozen tracks";

/** What Live refuses: printed by LiveAPI, never thrown at a script. */
class Refused extends Error {}

function refuse(text) {
    throw new Refused(text);
}

function isAbsolute(path) {
    return path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path);
}

/** An object of the model. `properties` can be got, those in `settable` set; `children` are objects or lists of them. */
class Thing {
    constructor(live, type, parent, properties = {}) {
        this.live = live;
        this.type = type;
        this.parent = parent;
        this.properties = properties;
        this.settable = ["name", "color"];
        this.since = {}; // name → [major, minor] from which a property or function is there
        live.register(this);
    }

    get functions() {
        return {};
    }

    get children() {
        return {};
    }

    set(name, value) {
        this.properties[name] = value;
    }

    gone() {
        this.live.things.delete(this.id);
    }
}

module.exports = { Thing, Refused, refuse, isAbsolute, OCCUPIED, AUDIO_ONLY, BAD_PATH, NOTIFIED, UNDOING, FROZEN };
