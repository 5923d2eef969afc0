// The measured window of the pair: how like the result is to either sound over Blend, drawn in the panel.

const { knobs } = require("./knobs");
const { pairKey } = require("./pair");
const { panel } = require("./panel");
const { slots } = require("./slots");
const { state } = require("./state");
const { between } = require("../lib/interpolate");
const { listOf, number, within } = require("../lib/text");

const CURVE_POINTS = 64;
const LINES = ["original", "reference", "marks"];

const curve = {
    of: "", // the pair that it was measured for
    original: [],
    reference: [],
    marks: [-1, -1, -1],

    measured(job, fields) {
        const found = drawn(fields.window || {});
        if (!found) {
            panel.fail("The daemon measured the window, but its curve cannot be read. Update the older of the two.");
            return;
        }
        Object.assign(this, found, { of: job.about.pair });
        this.show();
        panel.status(`The window is measured. Equal likeness at blend ${this.marks[1].toFixed(2)}; Audition plays it.`);
    },

    /** Whether it is that of the pair that is in the slots. */
    known() {
        return this.of !== "" && this.of === pairKey();
    },

    /** Draws the curve of the pair that is in the slots, and nothing for another. */
    show() {
        const known = this.known();
        const flat = Array(CURVE_POINTS).fill(0);
        panel.show("curve_original", ...(known ? this.original : flat));
        panel.show("curve_reference", ...(known ? this.reference : flat));
        this.position();
    },

    position() {
        panel.show("marks", ...(this.known() ? this.marks : [-1, -1, -1]), knobs.blend);
    },
};

/** A measured window as curves over blend; null where it is none. */
function drawn(window) {
    const ratios = listOf(window.ratios).map((ratio) => number(ratio, NaN));
    const points = listOf(window.points).filter((point) => point && typeof point === "object");
    if (ratios.length < 2 || points.length < 3 || !ratios.every((ratio) => ratio > 0)) {
        return null;
    }
    const placed = points.map((point, at) => ({
        blend: at === 0 ? 0 : at === points.length - 1 ? 1 : blendAt(ratios, number(point.noise_to_signal, NaN)),
        step: number(point.intervention, NaN),
        original: within(number(point.original, 0), 0, 1),
        reference: within(number(point.reference, 0), 0, 1),
    })).filter((point) => isFinite(point.blend)).sort((one, other) => one.blend - other.blend);
    const even = Array.from({ length: CURVE_POINTS }, (_, at) => at / (CURVE_POINTS - 1));
    const steps = placed.filter((point) => isFinite(point.step));
    return {
        original: even.map((blend) => between(placed, "blend", "original", blend)),
        reference: even.map((blend) => between(placed, "blend", "reference", blend)),
        marks: ["begin", "equilibrium", "end"].map((mark) => between(steps, "step", "blend", number(window[mark], NaN))),
    };
}

/** The blend at a noise-to-signal ratio: ratios stand at evenly spaced blends, and fall. */
function blendAt(ratios, ratio) {
    if (!(ratio > 0)) {
        return NaN;
    }
    const levels = ratios.map((value, at) => ({ level: -Math.log(value), blend: at / (ratios.length - 1) }));
    return between(levels, "level", "blend", -Math.log(ratio));
}

slots.changed.listen(() => curve.show());

state.add({
    save() {
        const rounded = (values) => values.map((value) => Math.round(value * 1000) / 1000);
        return { curve: { of: curve.of, original: rounded(curve.original), reference: rounded(curve.reference), marks: rounded(curve.marks) } };
    },
    restore(saved) {
        const found = saved.curve || {};
        const lists = LINES.map((name) => listOf(found[name]).filter((value) => typeof value === "number"));
        if (typeof found.of === "string" && lists.map((values) => values.length).join() === `${CURVE_POINTS},${CURVE_POINTS},3`) {
            Object.assign(curve, { of: found.of, original: lists[0], reference: lists[1], marks: lists[2] });
        }
    },
    short: { curve: null },
});

module.exports = { curve, drawn };
