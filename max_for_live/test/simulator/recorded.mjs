// A device whose script only writes down what it hears, and says what a check wants it to say; and sounds to hear it with.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const table = JSON.parse(fs.readFileSync(new URL('../../interface.json', import.meta.url), 'utf8'));

// A device whose script writes down what it hears, and says what the check wants it to say.
function recorded(make, options = {}) {
    const heard = [];
    let say = null;
    const device = make({
        ...options,
        script: (box, text, outlet) => {
            say = outlet;
            return { receive: (selector, values) => heard.push([selector, ...values]) };
        },
    });
    return { device, heard, panel: (...message) => say(2, message), audio: (...message) => say(3, message), say, last: () => heard.at(-1) };
}

function loaded(make, options) {
    const made = recorded(make, options);
    made.device.load();
    made.heard.length = 0;
    return made;
}

// --- files with which the audio path is heard -----------------------------------------------------------------------------------

const FRAMES = 4410;

// A stereo WAV file of 32 bit floats: 0.1 s of what `left` and `right` give for each frame.
function wavFile(name, left, right) {
    const data = Buffer.alloc(44 + FRAMES * 8);
    data.write('RIFF', 0);
    data.writeUInt32LE(data.length - 8, 4);
    data.write('WAVEfmt ', 8);
    data.writeUInt32LE(16, 16);
    data.writeUInt16LE(3, 20);
    data.writeUInt16LE(2, 22);
    data.writeUInt32LE(44100, 24);
    data.writeUInt32LE(44100 * 8, 28);
    data.writeUInt16LE(8, 32);
    data.writeUInt16LE(32, 34);
    data.write('data', 36);
    data.writeUInt32LE(FRAMES * 8, 40);
    for (let n = 0; n < FRAMES; n += 1) {
        data.writeFloatLE(left(n), 44 + n * 8);
        data.writeFloatLE(right(n), 48 + n * 8);
    }
    const file = path.join(folder(), `${name}.wav`);
    fs.writeFileSync(file, data);
    return file;
}

let made = null;
function folder() {
    if (!made) {
        made = fs.mkdtempSync(path.join(os.tmpdir(), 'tertium-device-'));
        process.on('exit', () => fs.rmSync(made, { recursive: true, force: true }));
    }
    return made;
}

const files = {};
function constant(left, right) {
    const name = `constant ${left} ${right}`;
    files[name] ??= wavFile(name, () => left, () => right);
    return files[name];
}

function ramp() {
    files.ramp ??= wavFile('ramp', (n) => n / FRAMES, (n) => -n / FRAMES);
    return files.ramp;
}

export { table, recorded, loaded, constant, ramp, FRAMES };
