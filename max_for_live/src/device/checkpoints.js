// Checkpoints: the daemon's list of learned references, the menu of those that the model can use, and what was learned just now.

const { audition } = require("./audition");
const { curve } = require("./curve");
const { knobs, NO_CHECKPOINT } = require("./knobs");
const { panel } = require("./panel");
const { results } = require("./results");
const { jobs } = require("../daemon/jobs");
const { link } = require("../daemon/link");
const { requests } = require("../daemon/requests");
const { TO_PANEL } = require("../lib/outlets");
const { line } = require("../lib/text");

const checkpoints = {
    names: [], // of those that can be used
    all: [],
    shown: "",

    /** Before the daemon has said which there are: the one that was chosen when the set was saved. */
    begin() {
        this.names = knobs.checkpoint === NO_CHECKPOINT ? [] : [knobs.checkpoint];
        this.show();
    },

    ask() {
        requests.ask("checkpoints", {}, (event, fields, items) => {
            if (event === "reply") {
                this.all = items.map((item) => line(item.name, 100)).filter(Boolean);
                this.names = items.filter((item) => item.usable !== 0).map((item) => line(item.name, 100)).filter(Boolean);
                this.forgetLost();
                this.show();
            }
        });
    },

    /** The name that a menu means: it says an item's words as atoms, so that `Kick, 1.50` comes as `Kick , 1.5`. */
    named(said) {
        const words = (name) => name.split(/[\s,;]+/).map((word) => (/^\d*\.?\d+$/.test(word) ? String(Number(word)) : word)).join(" ");
        return this.names.includes(said) ? said : this.names.find((name) => words(name) === words(said)) || said;
    },

    forgetLost() {
        if (knobs.checkpoint !== NO_CHECKPOINT && !this.names.includes(knobs.checkpoint)) {
            panel.fail(`The checkpoint ${knobs.checkpoint} is not there, or belongs to another model. The reference's own sound leads.`);
            knobs.checkpoint = NO_CHECKPOINT;
            curve.show();
        }
    },

    show() {
        const names = [NO_CHECKPOINT, ...this.names];
        if (names.join("\n") !== this.shown) {
            this.shown = names.join("\n");
            outlet(TO_PANEL, "checkpoints", "clear");
            names.forEach((name) => outlet(TO_PANEL, "checkpoints", "append", name));
        }
        outlet(TO_PANEL, "checkpoints", "setsymbol", knobs.checkpoint);
    },

    freeName(wanted) {
        const taken = new Set([...this.all, NO_CHECKPOINT]);
        jobs.open.forEach((job) => job.command === "learn" && taken.add(job.fields.name));
        let name = wanted;
        for (let number = 2; taken.has(name) && number < 1000; number += 1) {
            name = `${wanted.slice(0, 94)} ${number}`;
        }
        return name;
    },

    learned(fields, made) {
        const name = line(fields.checkpoint, 100);
        results.last([made]);
        audition.single(made);
        panel.status(`Learned as ${name}: choose it under Checkpoint. Audition plays what its prompt gives.`);
        panel.notes(made.notes);
        this.ask();
    },
};

link.welcomed.listen(() => checkpoints.ask());

module.exports = { checkpoints };
