// Each wire of the patcher is cut, one at a time: a check must fail, or the wire is one that nobody would miss.

import test from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { read } from './simulator/amxd.mjs';
import { Device } from './simulator/device.mjs';
import { checks, socketChecks } from './simulator/checks.mjs';

const { patcher } = read(fileURLToPath(new URL('../dist/Tertium.amxd', import.meta.url)));

// The script's text is not run here, and need not be copied for every device.
patcher.boxes.find(({ box }) => box.textfile).box.textfile.text = '';
const PATIENCE = 2000;

function nameOf(id) {
    const { box } = patcher.boxes.find((one) => one.box.id === id);
    return box.varname ?? box.text ?? box.maxclass;
}

// The first check that fails without this wire, or null.
async function caughtBy(cut) {
    for (const [name, check] of Object.entries({ ...checks, ...socketChecks })) {
        const made = [];
        try {
            await check((options) => {
                const device = new Device(structuredClone(patcher), { ...options, cut });
                made.push(device);
                return device;
            }, PATIENCE);
        } catch (error) {
            if (error.code !== 'ERR_ASSERTION' && error.message !== 'nothing came') throw error;
            return name;
        } finally {
            for (const box of made.flatMap((device) => [...device.boxes.values()])) if (/^udp/.test(box.box.text ?? '')) box.freed();
        }
    }
    return null;
}

test('cutting any wire makes a check fail', async (t) => {
    const missed = [];
    const caught = {};
    for (let cut = 0; cut < patcher.lines.length; cut += 1) {
        const found = await caughtBy(cut);
        const { source, destination } = patcher.lines[cut].patchline;
        if (found === null) missed.push(`${nameOf(source[0])} ${source[1]} → ${nameOf(destination[0])} ${destination[1]}`);
        else (caught[found] ??= []).push(`${nameOf(source[0])} → ${nameOf(destination[0])}`);
    }
    t.diagnostic(`${patcher.lines.length - missed.length} of ${patcher.lines.length} cut wires were caught, by ${Object.keys(caught).length} checks`);
    assert.deepEqual(missed, []);
    // What waits for a datagram would take a slow machine for a cut wire; so it is asked about these alone.
    for (const name of Object.keys(socketChecks)) for (const wire of caught[name]) assert.match(wire, /udp/);
});
