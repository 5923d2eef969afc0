// Immediate commands: sent again until they are answered, or until nobody waits for the answer any more.

const { osc } = require("./osc");
const { clock } = require("../lib/clock");
const { number } = require("../lib/text");

const FIRST_WAIT = 1000; // ms
const LONGEST_WAIT = 32000;
const PATIENCE = 6000;
const MOST_OPEN = 64;
const MOST_ITEMS = 2000;

const requests = {
    open: new Map(),

    /**
     * Asks, and calls `then(event, fields, items)` once: with `reply` or `error`, or with `silence` when nothing came in `patience` ms. It is
     * asked again after `wait` ms, then after twice as long, and so on: what costs the daemon work is not to be asked for twice in haste.
     */
    ask(command, fields, then, patience, wait) {
        if (this.open.size >= MOST_OPEN) {
            then("silence", {}, []);
            return;
        }
        const id = osc.id();
        const asked = { command, fields, then, until: clock.now + (patience || PATIENCE), wait: wait || FIRST_WAIT, items: new Map() };
        asked.next = clock.now + asked.wait;
        this.open.set(id, asked);
        osc.send(command, id, fields);
    },

    /** Whether an answer was to one of these. */
    take(answer) {
        const asked = this.open.get(answer.id);
        if (!asked) {
            return false;
        }
        if (answer.event === "item" && asked.items.size < MOST_ITEMS) {
            asked.items.set(answer.fields.index, answer.fields);
        } else if (answer.event === "reply" || answer.event === "error") {
            const count = number(answer.fields.count, 0);
            if (answer.event === "reply" && count > asked.items.size && count <= MOST_ITEMS) {
                return true; // an item was lost: the clock asks again
            }
            this.open.delete(answer.id);
            const items = Array.from(asked.items.values()).sort((one, other) => one.index - other.index);
            asked.then(answer.event, answer.fields, items);
        }
        return true;
    },

    tick() {
        this.open.forEach((asked, id) => {
            if (clock.now >= asked.until) {
                this.open.delete(id);
                asked.then("silence", {}, []);
            } else if (clock.now >= asked.next) {
                asked.wait = Math.min(asked.wait * 2, LONGEST_WAIT);
                asked.next = clock.now + asked.wait;
                osc.send(asked.command, id, asked.fields);
            }
        });
    },
};

clock.ticked.listen(() => requests.tick());

module.exports = { requests };
