// Live's controls and the other boxes that have a face: what one does with them (press, turn, choose, type), and what they show.

import { Base, isNumber, isBang, isList } from './base.mjs';

const FLOAT = 0;
const INT = 1;
const ENUM = 2;
const HIDDEN = 2;

class Control extends Base {
    constructor(...given) {
        super(...given);
        this.parameter = this.box.saved_attribute_attributes.valueof;
        this.value = this.parameter.parameter_initial?.[0];
    }

    get name() {
        return this.parameter.parameter_longname;
    }

    // What Live does when the device is loaded: every parameter that is not hidden says its stored or initial value.
    restore() {
        if (this.parameter.parameter_invisible === HIDDEN) return;
        const stored = this.device.stored[this.name];
        if (stored !== undefined) this.assign(stored);
        else if (this.parameter.parameter_initial_enable) this.assign(this.value);
    }

    assign(value) {
        this.value = this.inRange(value);
        if (this.parameter.parameter_invisible !== HIDDEN) this.device.stored[this.name] = this.value;
        this.said();
    }

    inRange(value) {
        const { parameter_type: type, parameter_mmin: low = 0, parameter_mmax: high = 127 } = this.parameter;
        if (type === INT && high - low > 255) throw new Error(`${this.name} spans more than an Int parameter of Live can.`);
        const bounded = Math.min(Math.max(value, low), high);
        return type === FLOAT ? Math.fround(bounded) : Math.round(bounded);
    }

    said() {
        this.out(0, [this.value]);
    }

    receive(inlet, message) {
        if (message[0] === 'set' && isNumber(message[1])) this.value = this.inRange(message[1]);
        else if (message.length === 1 && isNumber(message[0])) this.assign(message[0]);
        else super.receive(inlet, message);
    }
}

class Button extends Control {
    press() {
        if (this.box.mode === 1) this.assign(this.value ? 0 : 1);
        else this.out(0, ['bang']);
    }
}

class Number_ extends Control {
    turn(value) {
        this.assign(value);
    }
}

class Choice extends Control {
    said() {
        this.out(1, [this.parameter.parameter_enum[this.value]]);
        this.out(0, [this.value]);
    }

    choose(item) {
        const index = this.parameter.parameter_enum.indexOf(item);
        if (this.parameter.parameter_type !== ENUM || index < 0) throw new Error(`${this.name} has no item ${item}.`);
        this.assign(index);
    }
}

class Drop extends Control {
    drop(path) {
        this.out(1, ['WAVE']);
        this.out(0, [path]);
    }

    restore() {}
}

class Comment extends Base {
    constructor(...given) {
        super(...given);
        this.text = this.box.text;
    }

    receive(inlet, message) {
        if (message[0] !== 'set') return super.receive(inlet, message);
        this.text = message.slice(1).join(' ');
    }
}

class TextEdit extends Base {
    constructor(...given) {
        super(...given);
        this.text = this.box.text;
        this.selected = false;
    }

    receive(inlet, message) {
        if (isBang(message)) this.report();
        else if (message[0] === 'set') this.text = this.quoted(message.slice(1));
        else if (message[0] === 'select') this.selected = !this.box.readonly; // else it is highlighted, but has not the keyboard
        else super.receive(inlet, message);
    }

    // Max shows a symbol of several words in quotes, which are part of the text then, unless it is told not to.
    quoted(atoms) {
        const [text] = atoms;
        return atoms.length === 1 && /\s/.test(text) && !this.box.nosymquotes ? `"${text}"` : atoms.join(' ');
    }

    // One types; Return says it.
    type(text) {
        if (this.box.readonly) throw new Error('One cannot type here.');
        this.text = text;
    }

    enter() {
        this.report();
    }

    report() {
        if (this.text === '') this.out(0, ['text']);
        else this.out(0, ['text', ...(this.box.outputmode ? [this.text] : this.text.split(/\s+/))]);
    }
}

class Menu extends Base {
    constructor(...given) {
        super(...given);
        this.items = this.box.items.filter((item) => item !== ',');
        this.shown = this.items[0];
    }

    receive(inlet, message) {
        const [word, ...rest] = message;
        const item = rest.join(' ');
        if (word === 'clear') this.items = [];
        else if (word === 'append') this.items.push(item);
        else if (word === 'setsymbol' && this.items.includes(item)) this.shown = item;
        else super.receive(inlet, message);
    }

    choose(item) {
        if (!this.items.includes(item)) throw new Error(`The menu has no ${item}; it has ${this.items}.`);
        this.shown = item;
        // As Max reads a text: a comma stands for itself, and what looks like a number is one.
        this.out(1, item.replace(/[,;]/g, ' $& ').trim().split(/\s+/).map((word) => (/^\d*\.?\d+$/.test(word) ? Number(word) : word)));
        this.out(0, [this.items.indexOf(item)]);
    }
}

class MultiSlider extends Base {
    constructor(...given) {
        super(...given);
        this.values = Array.from({ length: this.box.size }, () => 0);
    }

    receive(inlet, message) {
        if (!isList(message)) return super.receive(inlet, message);
        const [low, high] = this.box.setminmax;
        const values = message.length === 1 ? this.values.map(() => message[0]) : message;
        if (values.length !== this.box.size) return this.device.complain(this, `has ${this.box.size} sliders and got ${values.length} values`);
        this.values = values.map((value) => Math.min(Math.max(value, low), high));
    }
}

class Panel extends Base {
    constructor(...given) {
        super(...given);
        this.color = this.box.bgcolor;
    }

    receive(inlet, message) {
        if (message[0] !== 'bgfillcolor' || message.length !== 5) return super.receive(inlet, message);
        this.color = message.slice(1);
    }
}

// What it shows is the buffer whose name it was told last. Dashes in its attribute are not counted on.
class Waveform extends Base {
    receive(inlet, message) {
        if (inlet !== 0 || message[0] !== 'set') return super.receive(inlet, message);
        this.buffer = message[1];
    }

    get sound() {
        return this.device.buffers[this.buffer];
    }
}

class ThisDevice extends Base {
    loaded() {
        this.out(2, [0]);
        this.out(1, [1]);
        this.out(0, ['bang']);
    }

    receive(inlet, message) {
        if (message[0] !== 'setwidth') return super.receive(inlet, message);
        [, this.device.width] = message;
    }
}

class Remark extends Base {}

export default {
    'live.text': Button, 'live.slider': Number_, 'live.numbox': Number_, 'live.menu': Choice, 'live.tab': Choice, 'live.drop': Drop, 'live.comment': Comment,
    'live.thisdevice': ThisDevice, textedit: TextEdit, umenu: Menu, multislider: MultiSlider, panel: Panel, 'waveform~': Waveform, comment: Remark,
};
