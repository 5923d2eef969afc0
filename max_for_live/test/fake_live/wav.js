// WAV files: made for tests, and measured as Live measures a sample. Little-endian PCM of 16 bits when written; any PCM or float when read. FLAC files
// are measured too.
"use strict";

const fs = require("node:fs");

/** Writes a tone with soft ends, different for each frequency; returns the path. */
function writeTone(path, { seconds = 2, frequency = 220, rate = 44100, channels = 2 } = {}) {
    const frames = Math.round(seconds * rate);
    const data = Buffer.alloc(frames * channels * 2);
    for (let frame = 0; frame < frames; frame += 1) {
        const soft = Math.min(1, frame / 900, (frames - 1 - frame) / 900);
        const value = Math.round(12000 * soft * Math.sin((2 * Math.PI * frequency * frame) / rate));
        for (let channel = 0; channel < channels; channel += 1) {
            data.writeInt16LE(value, (frame * channels + channel) * 2);
        }
    }
    const head = Buffer.alloc(44);
    head.write("RIFF", 0);
    head.writeUInt32LE(36 + data.length, 4);
    head.write("WAVEfmt ", 8);
    head.writeUInt32LE(16, 16);
    head.writeUInt16LE(1, 20);
    head.writeUInt16LE(channels, 22);
    head.writeUInt32LE(rate, 24);
    head.writeUInt32LE(rate * channels * 2, 28);
    head.writeUInt16LE(channels * 2, 32);
    head.writeUInt16LE(16, 34);
    head.write("data", 36);
    head.writeUInt32LE(data.length, 40);
    fs.writeFileSync(path, Buffer.concat([head, data]));
    return path;
}

/** {frames, rate, channels} of a WAV or FLAC file; null for whatever is neither. */
function measure(path) {
    let bytes;
    try {
        bytes = fs.readFileSync(path);
    } catch (problem) {
        return null;
    }
    if (bytes.length >= 42 && bytes.toString("latin1", 0, 4) === "fLaC") {
        const facts = bytes.readBigUInt64BE(18); // of the first block: 20 bits of rate, 3 of channels, 5 of bits, 36 of frames
        return { frames: Number(facts & 0xfffffffffn), rate: Number(facts >> 44n), channels: Number((facts >> 41n) & 7n) + 1 };
    }
    if (bytes.length < 12 || bytes.toString("latin1", 0, 4) !== "RIFF" || bytes.toString("latin1", 8, 12) !== "WAVE") {
        return null;
    }
    let format = null;
    for (let at = 12; at + 8 <= bytes.length;) {
        const name = bytes.toString("latin1", at, at + 4);
        const size = bytes.readUInt32LE(at + 4);
        if (name === "fmt ") {
            format = { channels: bytes.readUInt16LE(at + 10), rate: bytes.readUInt32LE(at + 12), block: bytes.readUInt16LE(at + 20) };
        } else if (name === "data" && format) {
            return { frames: Math.floor(Math.min(size, bytes.length - at - 8) / format.block), rate: format.rate, channels: format.channels };
        }
        at += 8 + size + (size % 2);
    }
    return null;
}

module.exports = { writeTone, measure };
