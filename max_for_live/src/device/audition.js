// What is heard through the device: the last result, or takes between which Blend fades.

const { knobs } = require("./knobs");
const { panel } = require("./panel");
const { TO_AUDIO, TO_PANEL } = require("../lib/outlets");
const { maxPath } = require("../lib/paths");
const { number, within } = require("../lib/text");
const { live } = require("../live/object_model");

const MOST_TAKES = 8;

const audition = {
    takes: [], // by number: {path, blend} or null
    job: "",
    gains: [],
    on: 0,
    wanted: 0, // what the switch says; a set that is opened says it before there is anything to hear

    /** One take of a morph that is still being made. */
    take(job, fields) {
        const count = within(Math.round(number(fields.count, 2)), 2, MOST_TAKES);
        const index = Math.round(number(fields.index, 0));
        if (index < 1 || index > count) {
            return;
        }
        if (this.job !== job.id) {
            this.job = job.id;
            this.takes = Array(count).fill(null);
            this.length(number(fields.seconds, 0));
        }
        this.put(index, { path: fields.path, blend: within(number(fields.blend, 0), 0, 1) });
    },

    single(made) {
        this.load([made]);
    },

    load(made) {
        this.job = "";
        this.takes = Array(Math.min(made.length, MOST_TAKES)).fill(null);
        this.length(made[0].seconds);
        made.slice(0, MOST_TAKES).forEach((take, index) => this.put(index + 1, { path: take.path, blend: number(take.blend, 0) }));
    },

    length(value) {
        outlet(TO_AUDIO, "takes", this.takes.length, Math.max(1, value * 1000));
    },

    put(index, take) {
        this.takes[index - 1] = take;
        outlet(TO_AUDIO, "load", index, maxPath(take.path));
        this.fade();
        if (this.wanted && !this.on) {
            this.play(1);
        }
    },

    /** Sends the gains that changed. */
    fade() {
        weights(this.takes, knobs.blend).forEach((weight, at) => {
            if (this.gains[at] !== weight) {
                this.gains[at] = weight;
                outlet(TO_AUDIO, "gain", at + 1, weight);
            }
        });
    },

    play(on) {
        const possible = on && this.takes.some(Boolean) ? 1 : 0;
        this.wanted = possible || !live.ready ? on : 0;
        if (on && !possible && live.ready) {
            panel.fail("There is nothing to hear yet. Press Fuse or Morph first.");
            outlet(TO_PANEL, "control", "audition", 0);
        }
        this.on = possible;
        outlet(TO_AUDIO, "play", possible);
    },
};

/**
 * The gains of takes: between the two next to the blend by straight lines. Neighbours are alike, so these sum to their level; gains of equal
 * power would sum to as much as 3 dB above the files.
 */
function weights(takes, blend) {
    const found = Array(MOST_TAKES).fill(0);
    const loaded = takes.map((take, at) => ({ take, at })).filter((entry) => entry.take)
        .sort((one, other) => one.take.blend - other.take.blend);
    if (!loaded.length) {
        return found;
    }
    const above = loaded.findIndex((entry) => entry.take.blend >= blend);
    if (loaded.length === 1 || above === 0) {
        found[loaded[0].at] = 1;
    } else if (above < 0) {
        found[loaded[loaded.length - 1].at] = 1;
    } else {
        const [low, high] = [loaded[above - 1], loaded[above]];
        const part = (blend - low.take.blend) / (high.take.blend - low.take.blend);
        found[low.at] = 1 - part;
        found[high.at] = part;
    }
    return found;
}

module.exports = { audition, MOST_TAKES };
