// Time: one clock that ticks, and turns of their own for what takes long. Whoever has something to do at each tick listens to it.

const { signal } = require("./signal");

const TICK = 100; // ms

const clock = {
    now: 0, // ms that it has run
    ticked: signal(),
    failed: signal(), // sends what is thrown, which then is not printed in Max's console
    task: null,
    turns: new Set(),

    start() {
        this.task = new Task(function () {
            clock.now += TICK;
            clock.guarded(() => clock.ticked.send());
        });
        this.task.interval = TICK;
        this.task.repeat();
    },

    /** Stops the clock, and drops whatever was to be done later. */
    stop() {
        if (this.task) {
            this.task.cancel();
            this.task = null;
        }
        this.turns.forEach((task) => task.cancel());
        this.turns.clear();
    },

    guarded(run) {
        try {
            run();
        } catch (problem) {
            this.failed.send(problem);
        }
    },

    /** In a turn of its own, after whatever runs now. */
    later(run, wait) {
        const task = new Task(function () {
            clock.turns.delete(task);
            clock.guarded(run);
        });
        this.turns.add(task);
        task.schedule(wait || 0);
    },
};

module.exports = { clock };
