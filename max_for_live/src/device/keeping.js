// The sounds that the set names: the daemon is asked to keep them, so that a set that is opened months later finds them, whatever the daemon has removed.

const { state } = require("./state");
const { link } = require("../daemon/link");
const { requests } = require("../daemon/requests");

const ID = /^[0-9a-f]{64}$/;

const keeping = {
    wanted: new Set(), // of which the daemon has not said yet that it keeps them
    kept: new Set(),
    asking: false,

    /** Asks the daemon to keep sounds; what it does not hear, it is asked again when something else is to be kept, or when it is back. */
    keep(sounds) {
        sounds.filter((sound) => ID.test(sound) && !this.kept.has(sound)).forEach((sound) => this.wanted.add(sound));
        this.next();
    },

    /** One after the other, so that a morph's takes are no burst of requests. */
    next() {
        const [sound] = this.wanted;
        if (!sound || this.asking || !link.there()) {
            return;
        }
        this.asking = true;
        requests.ask("keep", { sound }, (event, fields) => {
            this.asking = false;
            if (event === "silence") {
                return;
            }
            this.wanted.delete(sound); // a daemon that does not know it, or is too old to keep anything, does not know it later either
            if (event === "reply" && fields.kept === 1) {
                this.kept.add(sound);
            }
            this.next();
        });
    },
};

state.remembered.listen(() => keeping.keep(state.sounds()));
link.welcomed.listen(() => {
    keeping.kept.clear(); // it may be another daemon
    keeping.keep(state.sounds());
});

module.exports = { keeping };
