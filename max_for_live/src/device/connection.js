// Which daemon the device is connected to: looked for at the user's wish, remembered with the set.

const { panel } = require("./panel");
const { state } = require("./state");
const { discovery, portOr } = require("../daemon/discovery");
const { link } = require("../daemon/link");
const { isAbsolute } = require("../lib/paths");
const { live } = require("../live/object_model");

const connection = {
    lookAgain() {
        panel.fail("");
        link.trouble = "";
        link.again();
    },

    /** The daemon's port, as the user says; 0 to find it. */
    choosePort(port) {
        link.chosenPort = portOr(port, 0);
        state.changed();
        if (live.ready) {
            link.again();
        }
    },
};

link.welcomed.listen((fields) => isAbsolute(fields.home) && state.changed());

state.add({
    save: () => ({ port: link.chosenPort, home: discovery.home }),
    restore(saved) {
        link.chosenPort = link.chosenPort || portOr(saved.port, 0);
        discovery.knows(saved.home);
    },
});

module.exports = { connection };
