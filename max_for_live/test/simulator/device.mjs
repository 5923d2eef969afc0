// A device in the simulator: the boxes of a patcher, each an object of its class, and its wires.
//
// A message is an array of atoms, numbers and strings: ['bang'], [0.5], ['set', 'some text']. Whatever an object does not
// understand, and whatever Max would print, goes to `console`, which must stay empty.

import * as objects from './objects.mjs';
import * as live from './live.mjs';
import * as sound from './sound.mjs';

const classes = { ...objects.default, ...live.default, ...sound.default };

class Device {
    // patcher: what amxd.read gave. script: makes the host of the script, from (box, text, outlet).
    // cut: the number of a wire that is left out. stored: values of parameters, by long name, as a set keeps them.
    constructor(patcher, { script, instance = 1, cut = -1, stored = {}, dialog = null } = {}) {
        Object.assign(this, { instance, stored, dialog, script, console: [], buffers: {}, width: patcher.devicewidth });
        this.boxes = new Map();
        for (const { box } of patcher.boxes) this.boxes.set(box.id, this.make(box));
        this.wires = patcher.lines.map(({ patchline }) => patchline);
        this.wires.forEach((line, number) => number !== cut && this.connect(line));
        for (const box of this.boxes.values()) box.sortWires();
    }

    make(box) {
        const [word, ...words] = (box.text && box.maxclass === 'newobj' ? box.text : box.maxclass).split(/\s+/);
        const Class = Object.hasOwn(classes, word) ? classes[word] : null;
        if (!Class) throw new Error(`The simulator knows no ${word}.`);
        return new Class(this, box, words.map((text) => this.local(atom(text))));
    }

    connect({ source: [from, outlet], destination: [to, inlet] }) {
        const source = this.boxes.get(from);
        const target = this.boxes.get(to);
        if (!source || !target) throw new Error(`A wire from ${from} to ${to} ends nowhere.`);
        if (outlet >= source.box.numoutlets || inlet >= target.box.numinlets) throw new Error(`No such port: ${from} ${outlet} to ${to} ${inlet}`);
        source.wires[outlet].push([target, inlet]);
        target.sources[inlet].push([source, outlet]);
    }

    // Three dashes stand for this device alone, in arguments of objects and in messages.
    local(value) {
        return typeof value === 'string' && value.startsWith('---') ? `${this.instance}-${value.slice(3)}` : value;
    }

    // What happens when the device is inserted, or a set with it is opened: parameters first, then live.thisdevice.
    load() {
        for (const box of this.boxes.values()) box.restore?.();
        for (const box of this.boxes.values()) box.loaded?.();
        return this;
    }

    close() {
        for (const box of this.boxes.values()) box.freed?.();
    }

    // A box by its scripting name; parameters have their long names.
    box(name) {
        for (const found of this.boxes.values()) if (found.box.varname === name) return found;
        throw new Error(`No box is named ${name}.`);
    }

    only(kind) {
        const found = [...this.boxes.values()].filter((box) => box instanceof classes[kind]);
        if (found.length !== 1) throw new Error(`${found.length} boxes are a ${kind}.`);
        return found[0];
    }

    // The text that a box of the panel shows.
    text(name) {
        return this.box(name).text;
    }

    complain(box, text) {
        this.console.push(`${box.box.text || box.box.maxclass} (${box.box.varname || box.box.id}): ${text}`);
    }

    // What plugout~ gives for a block of what comes from the track, [left, right].
    render(frames, track = [new Float64Array(frames), new Float64Array(frames)]) {
        const done = new Map();
        this.track = track;
        return this.only('plugout~').inputs(frames, done);
    }
}

function atom(text) {
    return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

export { Device, atom };
