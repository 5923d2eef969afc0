// The signal objects, as far as the device uses them: enough to render what the track would hear.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Base, isNumber } from './base.mjs';

const RATE = 44100;
const PYTHON = fileURLToPath(new URL('../../../.venv/bin/python', import.meta.url));

class Signal extends Base {
    constructor(...given) {
        super(...given);
        this.values = [...this.words];
    }

    // The sum of all that is wired to each inlet; where no signal is, the number that it was told last.
    inputs(frames, done) {
        return this.sources.map((sources, inlet) => {
            const signals = sources.filter(([source, outlet]) => source instanceof Signal && source.box.outlettype[outlet] === 'signal');
            const sum = new Float64Array(frames);
            if (signals.length === 0) return sum.fill(inlet === 0 ? this.idle ?? 0 : this.values[inlet - 1] ?? 0);
            for (const [source, outlet] of signals) {
                const signal = source.render(frames, done)[outlet];
                for (let n = 0; n < frames; n += 1) sum[n] += signal[n];
            }
            return sum;
        });
    }

    // Once for each block, however many listen.
    render(frames, done) {
        if (!done.has(this)) done.set(this, this.process(this.inputs(frames, done), frames));
        return done.get(this);
    }

    receive(inlet, message) {
        if (message.length !== 1 || !isNumber(message[0])) return super.receive(inlet, message);
        if (inlet === 0) this.idle = message[0];
        else this.values[inlet - 1] = message[0];
    }
}

class PlugIn extends Signal {
    process(inputs, frames) {
        return this.device.track.map((channel) => channel.subarray(0, frames));
    }
}

class PlugOut extends Signal {
    process(inputs) {
        return inputs;
    }
}

class Multiply extends Signal {
    process([left, right]) {
        return [left.map((value, n) => value * right[n])];
    }
}

class ClipSignal extends Signal {
    process([input]) {
        const [low, high] = this.words;
        return [input.map((value) => Math.min(Math.max(value, low), high))];
    }
}

class Phasor extends Signal {
    phase = 0;

    process([frequency], frames) {
        const out = new Float64Array(frames);
        for (let n = 0; n < frames; n += 1) {
            out[n] = this.phase;
            this.phase = (this.phase + frequency[n] / RATE) % 1;
        }
        return [out];
    }

    receive(inlet, message) {
        if (inlet === 1 && message.length === 1 && isNumber(message[0])) [this.phase] = message;
        else super.receive(inlet, message);
    }
}

class Line extends Signal {
    constructor(...given) {
        super(...given);
        [this.now] = this.words;
        this.target = this.now;
        this.left = 0;
    }

    receive(inlet, message) {
        if (inlet !== 0 || !message.every(isNumber) || message.length > 2) return super.receive(inlet, message);
        [this.target] = message;
        this.left = Math.round(((message[1] ?? 0) / 1000) * RATE);
        if (this.left === 0) this.now = this.target;
    }

    process(inputs, frames) {
        const out = new Float64Array(frames);
        for (let n = 0; n < frames; n += 1) {
            if (this.left > 0) {
                this.now += (this.target - this.now) / this.left;
                this.left -= 1;
            }
            out[n] = this.now;
        }
        return [out, out];
    }
}

class Play extends Signal {
    process([place], frames) {
        const sound = this.device.buffers[this.words[0]];
        const channels = [new Float64Array(frames), new Float64Array(frames)];
        if (sound) {
            channels.forEach((out, channel) => {
                const samples = sound.channels[channel];
                for (let n = 0; samples && n < frames; n += 1) {
                    const at = (place[n] / 1000) * sound.rate;
                    const first = Math.floor(at);
                    if (first < 0 || first >= sound.frames) continue;
                    const next = samples[Math.min(first + 1, sound.frames - 1)];
                    out[n] = samples[first] + (next - samples[first]) * (at - first);
                }
            });
        }
        return channels;
    }
}

// Holds the samples of a file, once it was told which. Max reports a file that is not there, and keeps what it has.
class Buffer_ extends Base {
    constructor(...given) {
        super(...given);
        [this.name] = this.words;
        if (!String(this.name).startsWith(`${this.device.instance}-`)) throw new Error(`buffer~ ${this.name} is not this device's alone.`);
    }

    receive(inlet, message) {
        if (message[0] !== 'replace' || message.length !== 2) return super.receive(inlet, message);
        try {
            this.device.buffers[this.name] = { path: message[1], ...wav(asWav(fs.readFileSync(message[1]))) };
        } catch (error) {
            return this.device.complain(this, `can't open file ${message[1]}: ${error.message}`);
        }
        this.out(1, ['bang']);
    }
}

// The bytes of a file as WAV: those of a FLAC file are decoded by another program.
function asWav(bytes) {
    if (bytes.toString('latin1', 0, 4) !== 'fLaC') return bytes;
    const decode = 'import io, sys, soundfile; made = io.BytesIO(); sound, rate = soundfile.read(io.BytesIO(sys.stdin.buffer.read()), always_2d=True); '
        + 'soundfile.write(made, sound, rate, format="WAV", subtype="FLOAT"); sys.stdout.buffer.write(made.getvalue())';
    return execFileSync(PYTHON, ['-c', decode], { input: bytes, maxBuffer: 1 << 28 });
}

// The samples of a WAV file: 16, 24 or 32 bit, or 32 bit floating-point.
function wav(bytes) {
    if (bytes.toString('latin1', 0, 4) !== 'RIFF') throw new Error('no WAV file');
    let format = null;
    for (let at = 12; at + 8 <= bytes.length; ) {
        const tag = bytes.toString('latin1', at, at + 4);
        const length = bytes.readUInt32LE(at + 4);
        if (tag === 'fmt ') {
            const kind = bytes.readUInt16LE(at + 8);
            format = { float: kind === 3 || (kind === 0xfffe && bytes.readUInt16LE(at + 32) === 3), channels: bytes.readUInt16LE(at + 10), rate: bytes.readUInt32LE(at + 12), width: bytes.readUInt16LE(at + 22) / 8 };
        } else if (tag === 'data') {
            const frames = Math.floor(Math.min(length, bytes.length - at - 8) / (format.channels * format.width));
            const sample = (n) => (format.float ? bytes.readFloatLE(n) : bytes.readIntLE(n, format.width) / 2 ** (format.width * 8 - 1));
            const channels = Array.from({ length: format.channels }, (_, channel) =>
                Float64Array.from({ length: frames }, (__, frame) => sample(at + 8 + (frame * format.channels + channel) * format.width)));
            return { channels, frames, rate: format.rate };
        }
        at += 8 + length + (length % 2);
    }
    throw new Error('no samples');
}

export default {
    'plugin~': PlugIn, 'plugout~': PlugOut, '*~': Multiply, 'clip~': ClipSignal, 'phasor~': Phasor, 'line~': Line, 'play~': Play, 'buffer~': Buffer_,
};
