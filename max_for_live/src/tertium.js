// Tertium for Max for Live: the script of the device, for Max's [v8]. One inlet, four outlets; see ../interface.json.
// A skeleton yet: it says what it was asked, greets the daemon, and shows an empty panel.

inlets = 1;
outlets = 4;
autowatch = 0;

const DAEMON = 0;
const ANSWERS = 1;
const PANEL = 2;

function anything() {
    const asked = arrayfromargs(messagename, arguments);
    const selector = asked[0];
    if (selector === "live_ready") {
        begin();
    } else if (selector.charAt(0) === "/") {
        outlet(PANEL, "light", 2);
    } else if (selector !== "memory" && selector !== "forget") {
        outlet(PANEL, "status_text", "set", "Asked: " + asked.join(" "));
    }
}

function begin() {
    const reply = 21000 + Math.floor(Math.random() * 9000);
    outlet(ANSWERS, "port", reply);
    outlet(DAEMON, "host", "127.0.0.1");
    outlet(DAEMON, "port", 7700);
    outlet(DAEMON, "/tertium/hello", "m4l-hello", "client", "Tertium for Live", "reply_port", reply);
    outlet(PANEL, "light", 1);
    outlet(PANEL, "checkpoints", "clear");
    outlet(PANEL, "checkpoints", "append", "none");
}
