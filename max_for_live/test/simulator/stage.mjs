// The built device on a track of the fake Live, with its own script in a bare context, and a real daemon to talk to.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import { read } from './amxd.mjs';
import { Device } from './device.mjs';

const require = createRequire(import.meta.url);
const { V8 } = require('../fake_live/max.js');
const { Live } = require('../fake_live/model.js');
const { until } = require('../harness.js');

const { patcher } = read(fileURLToPath(new URL('../../dist/Tertium.amxd', import.meta.url)));
let instances = 0;

class Stage {
    // stored: what a set keeps of the device. speed: how many times faster the script's clock goes.
    constructor(t, { live = new Live(), track = null, port = 0, stored = {}, speed = 5, dialog = null } = {}) {
        this.live = live;
        this.track = track ?? live.addTrack({ name: 'Drums' });
        const thing = live.addDevice(this.track, { name: 'Tertium', class_name: 'MxDeviceAudioEffect' });
        instances += 1;
        this.device = new Device(structuredClone(patcher), {
            instance: instances,
            stored: { ...(port ? { 'Tertium Port': port } : {}), ...stored },
            dialog,
            script: (box, text, outlet) => {
                this.v8 = new V8(text, { live, device: thing, speed, onOutlet: (index, selector, atoms) => outlet(index, [selector, ...atoms]) });
                return { receive: (selector, atoms) => this.v8.message(selector, ...atoms), freed: () => this.v8.free() };
            },
        });
        t?.after(() => this.close());
        this.device.load();
    }

    press(long) {
        this.device.box(`Tertium ${long}`).press();
    }

    turn(long, value) {
        this.device.box(`Tertium ${long}`).turn(value);
    }

    choose(long, item) {
        this.device.box(`Tertium ${long}`).choose(item);
    }

    drop(slot, file) {
        this.device.box(`Tertium ${slot} Drop`).drop(file);
    }

    text(name) {
        return this.device.text(name);
    }

    // What the panel says in words, to be read when a wait was in vain.
    said() {
        return ['status_text', 'error_text', 'note_text', 'progress_text', 'original_name', 'reference_name'].map((name) => `${name}: ${this.text(name)}`).join('\n');
    }

    until(condition) {
        return until(condition, () => `${this.said()}\n${this.device.console.join('\n')}`);
    }

    // Green: the daemon is there, with its model.
    there() {
        return this.until(() => this.light === 'there');
    }

    get light() {
        const [red, green] = this.device.box('light').color;
        return red === green ? 'off' : green > red ? 'there' : 'waiting';
    }

    async take(slot, file, name) {
        this.drop(slot, file);
        const lower = slot.toLowerCase();
        await this.until(() => this.text(`${lower}_name`) === name && this.text(`${lower}_length`).trim());
    }

    // Clips of the track's slots, by row.
    clips() {
        return this.track.slots.map((slot) => slot.clip);
    }

    // Renders until the ramps are over, then gives a block of what is added to the track.
    heard(frames = 512) {
        this.device.render(4096);
        return this.device.render(frames);
    }

    // Nothing on Max's console, and nothing done to Live that should not be.
    quiet() {
        assert.deepEqual(this.device.console, []);
        assert.deepEqual(this.v8.console, []);
        assert.deepEqual(this.live.console, []);
        assert.deepEqual(this.live.damaged, []);
    }

    close() {
        if (!this.closed) this.device.close();
        this.closed = true;
    }
}

const loudness = ([left]) => Math.max(...left.map(Math.abs));

export { Stage, loudness, until };
