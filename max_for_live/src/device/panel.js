// What the panel shows: texts, progress, the light. What it shows already is not sent again.

const { link } = require("../daemon/link");
const { clock } = require("../lib/clock");
const { TO_PANEL } = require("../lib/outlets");
const { line, sentence } = require("../lib/text");

const LONGEST_TEXT = 300; // characters

const panel = {
    shown: new Map(),
    error: "",

    say(target, text) {
        const whole = line(text, LONGEST_TEXT) || " ";
        if (this.shown.get(target) !== whole) {
            this.shown.set(target, whole);
            outlet(TO_PANEL, target, "set", whole);
        }
    },

    show(target, ...values) {
        const whole = values.join(" ");
        if (this.shown.get(target) !== whole) {
            this.shown.set(target, whole);
            outlet(TO_PANEL, target, ...values);
        }
    },

    status(text) {
        this.say("status_text", text);
    },

    /** What is wrong, and what to do. It stays until something is asked for. */
    fail(text) {
        this.error = text;
        this.say("error_text", text || link.trouble);
    },

    notes(texts) {
        this.say("note_text", texts.map(sentence).filter(Boolean).join(" "));
    },

    progress(job) {
        this.show("progress", job ? job.fraction : 0);
        if (!job) {
            this.say("progress_text", "");
        } else {
            const left = job.left === null ? "" : ` · ${job.left < 10 ? job.left.toFixed(1) : Math.round(job.left)} s`;
            this.say("progress_text", (job.stage || (job.job ? "waiting" : "asking")) + left);
        }
    },

    /** The light, the model, and what is wrong with the daemon where nothing else is. */
    connection() {
        if (link.model !== null) {
            this.say("model_text", link.model);
        }
        this.show("light", link.ready() ? 2 : link.there() || link.greetings < 2 ? 1 : 0);
        this.say("error_text", this.error || link.trouble);
    },
};

clock.failed.listen((problem) => panel.fail(`A mistake in the device: ${line(problem && problem.message, 120)} Please report it.`));
link.changed.listen(() => panel.connection());

module.exports = { panel };
