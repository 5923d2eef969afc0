// Reads a Max for Live device: chunks of tag, length and bytes. Written apart from the packer, so that one checks the other.

import fs from 'node:fs';

function read(path) {
    const bytes = fs.readFileSync(path);
    const chunks = {};
    for (let at = 0; at < bytes.length; ) {
        const tag = bytes.toString('latin1', at, at + 4);
        const length = bytes.readUInt32LE(at + 4);
        if (at + 8 + length > bytes.length) throw new Error(`${path} ends within its chunk ${tag}`);
        chunks[tag] = bytes.subarray(at + 8, at + 8 + length);
        at += 8 + length;
    }
    if (!chunks.ampf || !chunks.ptch) throw new Error(`${path} is no Max for Live device`);
    const text = chunks.ptch.toString('utf8').replace(/\0$/, '');
    return { kind: chunks.ampf.toString('latin1'), meta: chunks.meta.readUInt32LE(0), ...JSON.parse(text) };
}

export { read };
