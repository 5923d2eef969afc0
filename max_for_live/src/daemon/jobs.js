// What takes time: requests that the daemon queues, followed until they end, asked for again when they were lost, and cancelled.

const { link } = require("./link");
const { osc } = require("./osc");
const { requests } = require("./requests");
const { clock } = require("../lib/clock");
const { signal } = require("../lib/signal");
const { has, line, number, within } = require("../lib/text");

const FIRST_WAIT = 1000; // ms
const SILENT_AFTER = 5000;
const LATE_AFTER = 3000;
const MOST_JOBS = 32;
const MOST_RECENT = 64;

const jobs = {
    /**
     * Sends (what, job, fields). `accepted`, `take`, `done`, `failed`, `error` and `cancelled` are the daemon's words; ours are `late` (not
     * accepted in time), `lost`, `cancelling`, `withdrawn` (before the daemon knew of it), `cancel_refused` and `cancel_unanswered`.
     */
    happened: signal(),
    moved: signal(), // the foremost job, or how far it is, may be another
    open: new Map(), // by the id of the request
    recent: [], // ids of those that ended

    /**
     * Asks for a queued command; null where too many are open. `about` is what is to be remembered of the request when its result comes; plain
     * values only.
     */
    submit(command, fields, about) {
        if (this.open.size >= MOST_JOBS) {
            return null;
        }
        const job = this.opened(osc.id(), command, fields, about);
        osc.send(command, job.id, fields);
        return job;
    },

    /** Follows again what was asked for before the set was closed. */
    reopen({ id, command, fields, about, job }) {
        if (this.open.size < MOST_JOBS) {
            Object.assign(this.opened(id, command, fields, about), { job: line(job, 64), reopened: true });
        }
    },

    opened(id, command, fields, about) {
        const job = {
            id, command, fields, about, job: "", fraction: 0, stage: "", left: null, cancelled: false,
            begun: clock.now, answeredAt: clock.now, next: clock.now + FIRST_WAIT, tries: 0, reopened: false,
        };
        this.open.set(id, job);
        return job;
    },

    /** The newest job that goes on. */
    foremost() {
        const open = Array.from(this.open.values());
        return open.reverse().find((job) => job.stage !== "paused") || open[0] || null;
    },

    /** After the daemon was away: the same ids are the same jobs, and their events come again. */
    sendAgain() {
        this.open.forEach((job) => this.sendOneAgain(job));
    },

    /** A deadline that was accepted is not asked for anew: it counts from the request's arrival. */
    sendOneAgain(job) {
        if (job.fields.deadline && job.job) {
            this.askAfter(job);
        } else {
            osc.send(job.command, job.id, job.fields);
        }
    },

    /** Whether an answer was to one of these. */
    take(answer) {
        const job = this.open.get(answer.id);
        if (!job) {
            return this.recent.includes(answer.id);
        }
        job.answeredAt = clock.now;
        if (answer.event === "accepted") {
            this.accepted(job, answer.fields);
        } else if (answer.event === "progress") {
            this.progress(job, answer.fields);
        } else if (answer.event === "take") {
            this.happened.send("take", job, answer.fields);
        } else if (["done", "failed", "error", "cancelled"].includes(answer.event)) {
            this.end(answer.event, job, answer.fields);
        }
        this.moved.send();
        return true;
    },

    accepted(job, fields) {
        const first = job.job === "";
        job.job = line(fields.job, 64);
        job.stage = job.stage || "waiting";
        if (first && job.job) {
            this.happened.send("accepted", job, fields);
        }
        if (job.cancelled) {
            this.cancelJob(job);
        }
    },

    progress(job, fields) {
        job.fraction = Math.max(job.fraction, within(number(fields.fraction, 0), 0, 1));
        job.stage = line(fields.stage, 24) || job.stage;
        const left = number(fields.seconds_left, -1);
        job.left = left >= 0 ? left : null;
    },

    end(how, job, fields) {
        this.open.delete(job.id);
        this.recent = [...this.recent, job.id].slice(-MOST_RECENT);
        this.happened.send(how, job, fields);
    },

    tick() {
        this.open.forEach((job) => {
            if (job.fields.deadline && job.job === "" && clock.now - job.begun >= LATE_AFTER) {
                this.end("late", job, {});
                this.moved.send();
            } else if (link.there() && clock.now >= job.next) {
                this.pursue(job);
            }
        });
    },

    /** Sends a request again that was not accepted, and asks after a job that has fallen silent. */
    pursue(job) {
        job.tries += 1;
        if (job.job === "") {
            job.next = clock.now + (job.tries < 5 ? FIRST_WAIT : SILENT_AFTER);
            osc.send(job.command, job.id, job.fields);
        } else if (clock.now - job.answeredAt >= SILENT_AFTER) {
            job.next = clock.now + SILENT_AFTER;
            this.askAfter(job);
        } else {
            job.next = clock.now + FIRST_WAIT;
        }
    },

    askAfter(job) {
        requests.ask("job", { job: job.job }, (event, fields) => this.stands(job, event, fields), SILENT_AFTER);
    },

    /** What `job` says of one that was silent. */
    stands(job, event, fields) {
        if (!this.open.has(job.id)) {
            return;
        }
        if (event === "reply") {
            const ends = {
                done: ["done", fields.result], failed: ["failed", fields.error],
                cancelled: ["cancelled", { reason: fields.reason }],
            };
            const [end, what] = has(ends, fields.state) ? ends[fields.state] : ["progress", fields];
            this.take({ id: job.id, event: end, fields: what || {} });
        } else if (event === "error" && fields.code === "unknown_job" && job.fields.deadline) {
            this.end("lost", job, {});
            this.moved.send();
        } else if (event === "error" && fields.code === "unknown_job") {
            job.job = ""; // the same request makes it anew
        }
    },

    /** Cancels the newest that is not being cancelled; false where there is none. */
    cancel() {
        const job = Array.from(this.open.values()).reverse().find((candidate) => !candidate.cancelled);
        if (!job) {
            return false;
        }
        job.cancelled = true;
        this.happened.send("cancelling", job, {});
        if (job.job) {
            this.cancelJob(job);
        } else if (!link.there()) {
            this.end("withdrawn", job, {});
            this.moved.send();
        }
        return true;
    },

    cancelJob(job) {
        requests.ask("cancel", { job: job.job }, (event, fields) => {
            if (event === "error") {
                this.happened.send("cancel_refused", job, fields);
            } else if (event === "silence") {
                job.cancelled = false;
                this.happened.send("cancel_unanswered", job, fields);
            }
        });
    },
};

clock.ticked.listen(() => jobs.tick());
link.welcomed.listen(() => jobs.sendAgain());

module.exports = { jobs };
