// Whether the daemon is there, and where: it is greeted until it answers, then asked for its state every other second.

const { discovery } = require("./discovery");
const { errorText, osc } = require("./osc");
const { LARGEST_DATAGRAM, PROTOCOL } = require("./protocol");
const { requests } = require("./requests");
const { clock } = require("../lib/clock");
const { TO_ANSWERS, TO_DAEMON } = require("../lib/outlets");
const { signal } = require("../lib/signal");
const { line, sentence } = require("../lib/text");

const COMMAND = "tertium serve";
const DAEMON_PORT = 7700;
const REPLY_PORTS = [21000, 29999];
const FIRST_WAIT = 1000; // ms
const HEARTBEAT = 2000;
const GONE_AFTER = 5000;
const MOST_STRAYS = 20;

const link = {
    welcomed: signal(), // sends what the daemon says to a greeting
    changed: signal(), // what is to be seen of the link may be another

    chosenPort: 0, // the daemon's, as the user says; 0 for wherever it is found
    port: DAEMON_PORT,
    reply: 0,
    answeredAt: -1, // when the daemon last answered us
    next: 0,
    hellos: [], // ids of the last ones that were sent
    greetings: 0, // unanswered so far
    version: "",
    trouble: "",
    strays: 0,
    state: "",
    model: null, // text, once the daemon has spoken of it
    begun: false,

    begin() {
        this.begun = true;
        outlet(TO_DAEMON, "maxpacketsize", LARGEST_DATAGRAM);
        outlet(TO_DAEMON, "host", "127.0.0.1");
        this.again();
    },

    /** Looks for the daemon anew. */
    again() {
        this.answeredAt = -1;
        this.greetings = 0;
        this.choosePorts();
        this.greet();
        this.notice();
    },

    choosePorts() {
        const known = this.chosenPort || discovery.port() || DAEMON_PORT;
        this.port = this.greetings % 4 === 2 && !this.chosenPort ? DAEMON_PORT : known;
        do {
            this.reply = REPLY_PORTS[0] + Math.floor(Math.random() * (REPLY_PORTS[1] - REPLY_PORTS[0] + 1));
        } while (this.reply === this.port); // a device that talks to itself would never end
        this.strays = 0;
        outlet(TO_ANSWERS, "port", this.reply);
        outlet(TO_DAEMON, "port", this.port);
    },

    greet() {
        const id = osc.id();
        this.hellos = [...this.hellos, id].slice(-8);
        this.next = clock.now + (this.greetings ? HEARTBEAT : FIRST_WAIT);
        osc.send("hello", id, { client: "Tertium for Live", protocol: PROTOCOL, reply_port: this.reply });
    },

    there() {
        return this.answeredAt >= 0 && clock.now - this.answeredAt < GONE_AFTER;
    },

    ready() {
        return this.there() && ["ready", "busy"].includes(this.state);
    },

    tick() {
        if (!this.begun || clock.now < this.next) {
            return;
        }
        if (this.there()) {
            this.next = clock.now + HEARTBEAT;
            requests.ask("status", {}, (event, fields) => event === "reply" && this.stands(fields), HEARTBEAT);
        } else {
            this.answeredAt = -1;
            this.greetings += 1;
            if (this.greetings % 2 === 0) {
                this.choosePorts(); // another program may have ours, or the daemon another than we thought
            }
            this.greet();
        }
        this.notice();
    },

    /** Whether an answer was to one of our greetings. */
    take(answer) {
        if (!this.hellos.includes(answer.id)) {
            return false;
        }
        if (answer.event === "reply") {
            this.welcome(answer.fields);
        } else if (answer.event === "error") {
            this.trouble = errorText(answer.fields);
            this.notice();
        }
        return true;
    },

    welcome(fields) {
        const protocol = String(fields.protocol || "");
        if (protocol.split(".")[0] !== PROTOCOL.split(".")[0]) {
            this.trouble = `The daemon speaks protocol ${line(protocol, 16) || "of no version"}, this device ${PROTOCOL}. Update the older of the two.`;
            this.answeredAt = -1;
            this.notice();
            return;
        }
        this.greetings = 0;
        this.answeredAt = clock.now;
        this.version = line(fields.version, 20);
        discovery.knows(fields.home);
        this.stands(fields);
        this.welcomed.send(fields);
    },

    /** What a `hello` or a `status` says of the daemon. */
    stands(fields) {
        const known = ["loading", "ready", "busy", "failed", "stopping"].includes(fields.state);
        this.state = known ? fields.state : "ready";
        const device = fields.device ? ` · ${line(fields.device, 8)}` : "";
        if (fields.model && (fields.device || !this.model)) {
            this.model = line(fields.model, 40) + device;
        }
        this.model = this.model || "";
        this.trouble = this.state === "failed" ? sentence(fields.message) || "The daemon has no model; its log says why." : "";
        this.notice();
    },

    /** Sees to it that a daemon which is missed is spoken of, and lets others know. */
    notice() {
        if (!this.there() && this.greetings >= 2 && !this.trouble) {
            this.trouble = `No daemon answers on port ${this.port}. Start it in a terminal: ${COMMAND}`;
        }
        this.changed.send();
    },

    /** The daemon answered one of ours. */
    answered() {
        this.answeredAt = this.answeredAt >= 0 ? clock.now : this.answeredAt;
    },

    /** An answer to nobody here: to another device that has the same port, if it goes on. */
    stray(answer) {
        const ours = typeof answer.id === "string" && answer.id.startsWith(osc.session);
        if (!ours) {
            this.strays += 1;
            if (this.strays > MOST_STRAYS) {
                this.choosePorts();
                this.greet();
            }
        }
    },
};

clock.ticked.listen(() => link.tick());

module.exports = { link, COMMAND };
