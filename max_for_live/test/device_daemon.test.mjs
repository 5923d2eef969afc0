// The built device against a real daemon (with an engine that is quick), over real UDP, in a fake Live: what one does on the panel,
// and what comes of it in the set, on the panel and in the ear.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { Stage, loudness } from './simulator/stage.mjs';
import { keepMoment } from './simulator/moment.mjs';
import { read } from './simulator/amxd.mjs';

const require = createRequire(import.meta.url);
const { sharedDaemon, daemonIn, folder } = require('./harness.js');
const { Live } = require('./fake_live/model.js');

const house = sharedDaemon({ name: 'tertium device ü' });

async function ready(t, options = {}) {
    const stage = new Stage(t, { port: house.daemon.port, ...options });
    await stage.there();
    await stage.take('Original', house.tone('drums', { seconds: 2 }), 'drums');
    await stage.take('Reference', house.tone('hum', { seconds: 3 }), 'hum');
    return stage;
}

test('press Fuse: a clip appears in the next empty slot, with a file that is there', async (t) => {
    const stage = await ready(t);
    assert.equal(stage.device.box('original_wave').sound.frames, 2 * 44100, 'its waveform is seen');
    assert.equal(stage.device.box('reference_wave').sound.frames, 3 * 44100);
    assert.match(stage.text('original_length'), /2\.00 s/);
    stage.turn('Blend', 0.25);
    stage.press('Fuse');
    await stage.until(() => stage.clips().some(Boolean));
    const made = stage.clips().find(Boolean);
    assert.ok(fs.statSync(made.properties.file_path).size > 1000);
    assert.equal(stage.text('error_text').trim(), '');
    await stage.until(() => stage.device.box('progress').values[0] === 0);
    stage.quiet();
});

test('the clip that is shown is taken as the original', async (t) => {
    const stage = await ready(t);
    const clip = stage.live.putClip(stage.track, 1, house.tone('loop', { seconds: 4 }));
    stage.live.select(clip);
    stage.press('Original Clip');
    await stage.until(() => stage.text('original_name') !== 'drums' && stage.text('original_length').trim());
    stage.press('Fuse');
    await stage.until(() => stage.clips().some((one) => one && one !== clip));
    assert.equal(stage.clips()[1], clip, "the user's clip is where it was");
    stage.press('Reference Result');
    await stage.until(() => stage.text('reference_name') !== 'hum');
    stage.quiet();
});

test('progress and seconds left are seen while it works, and Cancel cancels', async (t) => {
    const slow = await daemonIn((stop) => t.after(stop), path.join(folder(t), 'home'), { step: 0.2 });
    const stage = new Stage(t, { port: slow.port });
    await stage.there();
    await stage.take('Original', house.tone('drums'), 'drums');
    await stage.take('Reference', house.tone('hum'), 'hum');
    stage.press('Fuse');
    await stage.until(() => stage.device.box('progress').values[0] > 0 && / s$/.test(stage.text('progress_text')));
    stage.press('Cancel');
    await stage.until(() => /cancel/i.test(stage.text('status_text')) && stage.device.box('progress').values[0] === 0);
    assert.deepEqual(stage.clips().filter(Boolean), []);
    stage.quiet();
});

test('learn under a prompt that is in the field, and lead with what was learned', async (t) => {
    const stage = await ready(t);
    await stage.take('Reference', house.tone('Hum, 1.50'), 'Hum, 1.50'); // a menu says that as three atoms, the last a number
    stage.device.box('prompt').type('a haunted hum');
    stage.press('Learn');
    const menu = stage.device.box('checkpoints');
    await stage.until(() => menu.items.length > 1);
    menu.choose(menu.items[1]);
    stage.press('Fuse');
    await stage.until(() => stage.clips().some(Boolean));
    assert.equal(stage.text('error_text').trim(), '');
    assert.equal(stage.clips().find(Boolean).properties.name, 'drums + Hum, 1.50 50 %');
    stage.quiet();
});

test('morph, and turning Blend crossfades the takes at once', async (t) => {
    const stage = await ready(t);
    stage.choose('Destination', 'To Audition');
    stage.turn('Takes', 3);
    stage.press('Morph');
    await stage.until(() => [1, 2, 3].every((take) => stage.device.buffers[`${stage.device.instance}-take${take}`]));
    assert.equal(loudness(stage.heard()), 0, 'silent before Audition is on');
    stage.press('Audition');
    const heardAt = (blend) => {
        stage.turn('Blend', blend);
        stage.heard();
        const gains = [1, 2, 3].map((take) => stage.device.boxes.get(lineOf(stage, take)).now);
        assert.ok(gains.reduce((sum, gain) => sum + gain, 0) < 1.0001, 'never louder than the files');
        return gains.map((gain) => Math.round(gain * 100) / 100);
    };
    assert.deepEqual(heardAt(0), [1, 0, 0]);
    assert.deepEqual(heardAt(1), [0, 0, 1]);
    const [first, second, third] = heardAt(0.25);
    assert.ok(first > 0 && second > 0 && third === 0);
    await stage.until(() => loudness(stage.heard()) > 0.01);
    stage.press('Audition');
    assert.equal(loudness(stage.heard()), 0, 'silent again');
    stage.quiet();
});

// The id of the line~ that ramps a take's gain: by the way of a wire from its multiplier.
function lineOf(stage, take) {
    const [play] = [...stage.device.boxes.values()].filter((box) => box.box.text === `play~ ---take${take} 2`);
    const [[multiply]] = play.wires[0];
    return multiply.sources[1][0][0].box.id;
}

test('measure: the curves and the marks of the pair are drawn, and Fuse leaves them', async (t) => {
    const stage = await ready(t);
    const face = (name) => stage.device.box(name).box.presentation_rect;
    const [left, , width] = face('display');
    assert.ok(face('window_equilibrium')[0] < 0);
    stage.press('Measure');
    await stage.until(() => face('window_equilibrium')[0] >= left);
    const inWindow = () => face('window_shade')[0] <= face('window_equilibrium')[0] && face('window_equilibrium')[0] <= face('window_shade')[0] + face('window_shade')[2];
    assert.ok(inWindow());
    for (const slot of ['original', 'reference']) assert.ok(stage.device.box(`curve_${slot}`).values.some((value) => value > 0));
    stage.turn('Blend', 1);
    assert.ok(face('window_position')[0] > left + width * 0.9);
    const drawn = stage.device.box('curve_original').values;
    stage.press('Fuse');
    await stage.until(() => stage.clips().some(Boolean));
    assert.deepEqual(stage.device.box('curve_original').values, drawn);
    stage.quiet();
});

test('what goes wrong is a sentence on the panel, with what to do', async (t) => {
    const stage = new Stage(t, { port: house.daemon.port });
    await stage.there();
    stage.press('Fuse');
    assert.match(stage.text('error_text'), /[a-z].*\. .*[a-z].*\.$/);
    await stage.take('Original', house.tone('drums'), 'drums');
    stage.drop('Reference', path.join(folder(t), 'not there.wav'));
    await stage.until(() => /not there/.test(stage.text('error_text')));
    stage.quiet();
});

test('a folder for the results is chosen, and results lie there', async (t) => {
    const chosen = fs.mkdtempSync(path.join(folder(t), 'My results '));
    const stage = await ready(t, { dialog: chosen });
    stage.press('Choose Results');
    await stage.until(() => stage.text('results_text').includes(path.basename(chosen)));
    stage.press('Fuse');
    await stage.until(() => stage.clips().some(Boolean));
    assert.equal(path.dirname(stage.clips().find(Boolean).properties.file_path), chosen);
    stage.quiet();
});

test('without a daemon the device says so and how to start it; with one it goes on; and again after a crash', async (t) => {
    const home = path.join(folder(t), 'home');
    const first = await daemonIn((stop) => t.after(stop), home);
    const { port } = first;
    await first.stop();
    const stage = new Stage(t, { port });
    await stage.until(() => /tertium serve/.test(stage.text('command_text')) && stage.text('error_text').trim());
    assert.notEqual(stage.light, 'there');
    keepMoment('absent', stage.device);
    stage.press('Command');
    assert.equal(stage.device.box('command_text').selected, true);
    const second = await daemonIn((stop) => t.after(stop), home, { port });
    stage.press('Look Again');
    await stage.there();
    await stage.until(() => !stage.text('error_text').trim());
    await second.stop('SIGKILL');
    await stage.until(() => stage.light !== 'there');
    await daemonIn((stop) => t.after(stop), home, { port });
    await stage.there();
    await stage.take('Original', house.tone('drums'), 'drums');
    await stage.take('Reference', house.tone('hum'), 'hum');
    stage.press('Fuse');
    await stage.until(() => stage.clips().some(Boolean));
    stage.quiet();
});

test('two devices in one set do not hear each other', async (t) => {
    const live = new Live();
    const one = await ready(t, { live });
    const two = await ready(t, { live, track: live.addTrack({ name: 'Bass' }) });
    const ports = [one, two].map(({ device }) => device.only('udpreceive').port);
    assert.notEqual(ports[0], ports[1]);
    one.press('Fuse');
    await one.until(() => one.clips().some(Boolean));
    assert.deepEqual(two.clips().filter(Boolean), []);
    assert.deepEqual(Object.keys(one.device.buffers).filter((name) => name in two.device.buffers), []);
    two.press('Fuse');
    await two.until(() => two.clips().some(Boolean));
    one.quiet();
    two.quiet();
});

test('a set that is saved and opened again has its sounds and its settings', async (t) => {
    const first = await ready(t);
    first.turn('Blend', 0.75);
    first.turn('Hold', 0.5);
    first.press('Fold-out');
    first.device.box('prompt').type('a hum');
    first.press('Fuse');
    await first.until(() => first.clips().some(Boolean));
    const { stored } = first.device;
    await first.until(() => stored['Tertium Memory']);
    first.close();
    const again = new Stage(t, { live: first.live, track: first.track, stored });
    assert.equal(again.device.box('Tertium Blend').value, 0.75);
    assert.equal(again.text('blend_number'), '0.75');
    assert.ok(again.device.width > read(new URL('../dist/Tertium.amxd', import.meta.url)).patcher.devicewidth);
    await again.there();
    await again.until(() => again.text('original_name') === 'drums' && again.text('reference_name') === 'hum');
    assert.equal(again.text('prompt'), 'a hum');
    again.press('Fuse');
    await again.until(() => again.clips().filter(Boolean).length === 2);
    again.quiet();
});

// What the set keeps no longer changes.
async function settled(stage) {
    for (let before = null; before !== JSON.stringify(stage.device.stored); ) {
        before = JSON.stringify(stage.device.stored);
        await new Promise((done) => { setTimeout(done, 1000); });
    }
}

test('inserting the device writes nothing into the set', async (t) => {
    const stage = new Stage(t, { port: house.daemon.port });
    const stored = structuredClone(stage.device.stored);
    await stage.there();
    await settled(stage);
    assert.deepEqual(stage.device.stored, stored);
    assert.equal('Tertium Memory' in stored, false);
    assert.deepEqual(stage.live.undoSteps, []);
});

test('opening a set writes nothing into it', async (t) => {
    const first = await ready(t);
    await first.until(() => /drums/.test(JSON.stringify(first.device.stored)) || first.device.stored['Tertium Memory']);
    await settled(first);
    const stored = structuredClone(first.device.stored);
    first.close();
    const again = new Stage(t, { live: first.live, track: first.track, stored: structuredClone(stored) });
    await again.there();
    await again.until(() => again.text('original_name') === 'drums');
    assert.deepEqual(again.device.stored, stored);
    assert.deepEqual(again.live.undoSteps, []);
});
