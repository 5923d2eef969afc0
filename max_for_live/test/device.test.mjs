// The device as it was built: its file, its boxes and its wires. See simulator/checks.mjs.

import test from 'node:test';
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import fs from 'node:fs';
import { read } from './simulator/amxd.mjs';
import { Device } from './simulator/device.mjs';
import { checks, socketChecks } from './simulator/checks.mjs';
import harness from './harness.js';

const table = JSON.parse(fs.readFileSync(new URL('../interface.json', import.meta.url), 'utf8'));
const file = fileURLToPath(new URL('../dist/Tertium.amxd', import.meta.url));
const { kind, patcher } = read(file);
const boxes = patcher.boxes.map(({ box }) => box);
// Boxes are made anew from the patcher each time, so that no device changes another's.
const make = (options) => new Device(structuredClone(patcher), options);

for (const [name, check] of Object.entries({ ...checks, ...socketChecks })) {
    test(name, async () => {
        const made = [];
        await check((options) => made[made.push(make(options)) - 1]);
        for (const device of made) assert.deepEqual(device.console, [], 'nothing is printed to the Max console');
    });
}

test('it is an audio effect with the script in it', () => {
    assert.equal(kind, 'aaaa');
    const script = boxes.find(({ text }) => text === 'v8');
    assert.equal(script.textfile.text, harness.script());
    assert.deepEqual([script.numinlets, script.numoutlets], [table.inlets, table.outlets.length]);
    assert.equal(patcher.project.amxdtype, Buffer.from('aaaa').readUInt32BE(0));
});

test('a device has its names to itself', () => {
    const texts = boxes.map(({ text }) => text ?? '').filter((text) => /^(buffer~|play~|s|r|send|receive|coll|set) /.test(text));
    assert.ok(texts.length > 10);
    for (const text of texts) assert.match(text, / ---/);
    const [first, second] = [1, 2].map((instance) => make({ instance, script: () => ({ receive() {} }) }));
    assert.notEqual(first.only('plugout~'), second.only('plugout~'));
});

test('every control says what it does, in the words of the table', () => {
    const said = boxes.map(({ annotation }) => annotation);
    for (const { name, kind: what, info } of table.controls) if (what !== 'display') assert.ok(said.includes(info), name);
    for (const box of boxes) if (box.parameter_enable && box.presentation) assert.ok(box.annotation && box.annotation_name, box.varname);
});

test('parameters have names of their own, and buttons are hidden from Live', () => {
    const saved = boxes.filter(({ saved_attribute_attributes: saved_ }) => saved_?.valueof).map((box) => ({ ...box, ...box.saved_attribute_attributes.valueof }));
    const longs = saved.map((one) => one.parameter_longname);
    assert.equal(new Set(longs).size, longs.length);
    for (const one of saved) {
        assert.match(one.parameter_longname, /^Tertium /);
        assert.ok(!/\[\d+\]/.test(one.parameter_longname + one.parameter_shortname));
        assert.ok(one.parameter_shortname.length <= 12, one.parameter_shortname);
        if (one.maxclass === 'live.text' && one.mode === 0) assert.equal(one.parameter_invisible, 2, one.parameter_longname);
    }
    for (const { parameter } of table.controls) {
        if (!parameter) continue;
        const found = saved.find((one) => one.parameter_longname === parameter.long);
        assert.equal(found.parameter_shortname, parameter.short);
        assert.equal(found.parameter_invisible, parameter.automated ? 0 : 1, parameter.long);
    }
    assert.deepEqual(saved.filter((one) => one.parameter_invisible === 0).map((one) => one.parameter_longname).sort(), ['Tertium Audition', 'Tertium Blend', 'Tertium Hold']);
});

test('Push shows what can be automated', () => {
    const [bank] = Object.values(patcher.parameters.parameterbanks);
    assert.deepEqual(bank.parameters, ['Tertium Blend', 'Tertium Hold', 'Tertium Audition', '-', '-', '-', '-', '-']);
});

test('a class that the simulator does not know is an error, and so is a wire to nowhere', () => {
    const wrong = structuredClone(patcher);
    wrong.boxes.push({ box: { id: 'new', maxclass: 'newobj', text: 'jit.window', numinlets: 1, numoutlets: 1 } });
    assert.throws(() => new Device(wrong, { script: () => ({ receive() {} }) }), /knows no jit\.window/);
    const loose = structuredClone(patcher);
    loose.lines[0].patchline.destination[0] = 'nobody';
    assert.throws(() => new Device(loose, { script: () => ({ receive() {} }) }), /ends nowhere/);
});
