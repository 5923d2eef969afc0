// Max's own objects, as far as the device uses them.

import dgram from 'node:dgram';
import osc from 'osc-min';
import { Base, isNumber, isBang, isList } from './base.mjs';

class Message extends Base {
    receive(inlet, message) {
        if (inlet !== 0) return super.receive(inlet, message);
        if (message[0] === 'set' || message[0] === 'append') return super.receive(inlet, message);
        const values = isBang(message) ? [] : message;
        const filled = this.box.text.split(/\s+/).map((word) => {
            const argument = /^\$(\d)$/.exec(word);
            if (!argument) return this.device.local(number(word));
            return values[argument[1] - 1] ?? 0;
        });
        this.out(0, filled);
    }
}

class Trigger extends Base {
    receive(inlet, message) {
        for (let outlet = this.words.length - 1; outlet >= 0; outlet -= 1) {
            const kind = this.words[outlet];
            if (kind === 'b') this.out(outlet, ['bang']);
            else if (kind === 'i') this.out(outlet, [Math.trunc(isNumber(message[0]) ? message[0] : 0)]);
            else if (kind === 'l') this.out(outlet, message);
            else this.device.complain(this, `has no outlet of kind ${kind}`);
        }
    }
}

class Route extends Base {
    receive(inlet, message) {
        if (inlet !== 0) return super.receive(inlet, message);
        const found = this.words.indexOf(message[0]);
        if (found < 0) return this.out(this.words.length, message);
        this.out(found, message.length > 1 ? message.slice(1) : ['bang']);
    }
}

class Select extends Base {
    receive(inlet, message) {
        if (inlet !== 0) return super.receive(inlet, message);
        const found = this.words.indexOf(message[0]);
        if (found < 0) return this.out(this.words.length, message);
        this.out(found, ['bang']);
    }
}

class Prepend extends Base {
    receive(inlet, message) {
        this.out(0, [...this.words, ...message]);
    }
}

class Pack extends Base {
    constructor(...given) {
        super(...given);
        this.values = [...this.words];
    }

    receive(inlet, message) {
        if (!isList(message)) return super.receive(inlet, message);
        message.forEach((value, index) => { this.values[inlet + index] = value; });
        if (inlet === 0) this.out(0, [...this.values]);
    }
}

class Unpack extends Base {
    receive(inlet, message) {
        if (!isList(message)) return super.receive(inlet, message);
        for (let outlet = Math.min(message.length, this.words.length) - 1; outlet >= 0; outlet -= 1) this.out(outlet, [message[outlet]]);
    }
}

// Arithmetic with $f1 … $f9 and int(), as the device writes it. A comma would end the message in Max, so there is none.
class Expr extends Base {
    constructor(...given) {
        super(...given);
        const formula = this.box.text.replace(/^expr\s+/, '');
        if (/[^\s\d.$f+*/()<>=\-a-z]/.test(formula)) throw new Error(`The simulator cannot compute ${formula}`);
        const javascript = formula.replace(/\$[fi](\d)/g, 'value[$1 - 1]').replace(/\b(\d+)\.(?!\d)/g, '$1.0').replace(/\bint\(/g, 'Math.trunc(');
        this.compute = new Function('value', `return ${javascript};`);
        // "The number of inlets is determined by how many changeable arguments are typed in": a list is to have an inlet for each number.
        const named = new Set(formula.match(/\$[fi]\d/g).map((argument) => Number(argument[2])));
        if (Math.max(...named) !== named.size) throw new Error(`${formula} names an inlet that it may not have`);
        this.values = Array.from(named, () => 0);
    }

    receive(inlet, message) {
        if (!isList(message)) return super.receive(inlet, message);
        if (inlet + message.length > this.values.length) this.device.complain(this, 'has fewer inlets than the list has numbers');
        message.forEach((value, index) => { this.values[inlet + index] = value; });
        if (inlet === 0) this.out(0, [Number(this.compute(this.values))]);
    }
}

class Sprintf extends Base {
    receive(inlet, message) {
        const places = /^symout %\.(\d)f$/.exec(this.words.join(' '));
        if (!places || !isNumber(message[0])) return super.receive(inlet, message);
        this.out(0, [message[0].toFixed(places[1])]);
    }
}

class Clip extends Base {
    receive(inlet, message) {
        if (inlet !== 0 || !isList(message)) return super.receive(inlet, message);
        this.out(0, message.map((value) => Math.min(Math.max(value, this.words[0]), this.words[1])));
    }
}

class ToSymbol extends Base {
    receive(inlet, message) {
        this.out(0, [message.join(' ')]);
    }
}

class Freebang extends Base {
    freed() {
        this.out(0, ['bang']);
    }
}

class OpenDialog extends Base {
    receive(inlet, message) {
        if (!isBang(message)) return super.receive(inlet, message);
        if (this.device.dialog === null) this.out(1, ['bang']);
        else this.out(0, [this.device.dialog]);
    }
}

// Moves boxes by their scripting names, and hides them.
class ThisPatcher extends Base {
    receive(inlet, message) {
        const [script, sendbox, name, attribute, ...numbers] = message;
        const { box } = script === 'script' && sendbox === 'sendbox' ? this.device.box(name) : {};
        if (box && attribute === 'presentation_rect' && numbers.length === 4) box.presentation_rect = numbers;
        else if (box && attribute === 'hidden' && numbers.length === 1) [box.hidden] = numbers;
        else super.receive(inlet, message);
    }
}

// A value that the set keeps and that nothing shows.
class Pattr extends Base {
    receive(inlet, message) {
        this.value = message;
        this.device.stored[this.name] = message;
        this.out(0, message);
    }

    get name() {
        return this.box.saved_attribute_attributes.valueof.parameter_longname;
    }

    restore() {
        const stored = this.device.stored[this.name];
        if (stored !== undefined) this.receive(0, stored);
    }
}

// OSC to a port of this machine. Whole numbers go as int32 and others as float32, as Max has it.
class UdpSend extends Base {
    constructor(...given) {
        super(...given);
        [this.host, this.port] = this.words;
        this.limit = 5096;
    }

    receive(inlet, message) {
        const [selector, ...values] = message;
        if (selector === 'host') this.host = values[0];
        else if (selector === 'port') this.port = values[0];
        else if (selector === 'maxpacketsize') this.limit = values[0];
        else if (String(selector).startsWith('/')) this.send(selector, values);
        else super.receive(inlet, message);
    }

    send(address, values) {
        const bytes = osc.toBuffer({ address, args: values.map((value) => ({ type: typeOf(value), value })) });
        if (bytes.byteLength > this.limit) return this.device.complain(this, `message of ${bytes.byteLength} bytes is too long`);
        if (this.host !== '127.0.0.1') return this.device.complain(this, `must not send to ${this.host}`);
        this.socket ??= dgram.createSocket('udp4').unref();
        // In a datagram of its own: Buffer.from copies, so that it is not shared with osc-min's.
        this.socket.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), this.port, this.host);
    }

    freed() {
        this.socket?.close();
        this.socket = null;
    }
}

class UdpReceive extends Base {
    receive(inlet, message) {
        if (message[0] !== 'port' || !isNumber(message[1])) return super.receive(inlet, message);
        this.freed();
        this.port = message[1];
        const socket = dgram.createSocket('udp4').unref();
        socket.on('error', (error) => this.device.complain(this, error.message));
        socket.on('message', (bytes) => {
            const packet = osc.fromBuffer(bytes);
            this.out(0, [packet.address, ...packet.args.map(({ value }) => value)]);
        });
        socket.bind(this.port, '127.0.0.1');
        this.socket = socket;
    }

    freed() {
        this.socket?.close();
        this.socket = null;
    }
}

// The script, in whatever host the test gives it.
class Script extends Base {
    constructor(...given) {
        super(...given);
        const { textfile } = this.box;
        if (!textfile.embed) throw new Error('The script is not in the patcher.');
        this.host = this.device.script(this, textfile.text, (outlet, message) => this.out(outlet, message));
    }

    receive(inlet, message) {
        this.host.receive(message[0], message.slice(1), inlet);
    }

    freed() {
        this.host.freed?.();
    }
}

const number = (word) => (word !== '' && Number.isFinite(Number(word)) ? Number(word) : word);
const typeOf = (value) => (typeof value === 'string' ? 'string' : Number.isInteger(value) ? 'integer' : 'float');

export default {
    message: Message, t: Trigger, route: Route, sel: Select, prepend: Prepend, pack: Pack, unpack: Unpack, expr: Expr, sprintf: Sprintf, clip: Clip,
    tosymbol: ToSymbol, freebang: Freebang, opendialog: OpenDialog, thispatcher: ThisPatcher, pattr: Pattr, udpsend: UdpSend, udpreceive: UdpReceive, v8: Script,
};
