// The built device with the real model, pocket: what a first evening with it would be.

import test from 'node:test';
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { Stage, loudness } from './simulator/stage.mjs';
import { keepMoment } from './simulator/moment.mjs';

const require = createRequire(import.meta.url);
const { sharedDaemon, ROOT } = require('./harness.js');

const house = sharedDaemon({ name: 'tertium-pocket', engine: 'tertium.worker.torch_engine', model: 'pocket', allow: [path.join(ROOT, 'server/tertium/assets/demo')] });
const sound = (name) => path.join(ROOT, 'server/tertium/assets/demo', `${name}.flac`);

test('measure, fuse, morph and audition with pocket', { timeout: 600_000 }, async (t) => {
    const stage = new Stage(t, { port: house.daemon.port, speed: 1 });
    await stage.there();
    assert.match(stage.text('model_text'), /pocket/);
    await stage.take('Original', sound('safari_drums'), 'safari_drums');
    await stage.take('Reference', sound('haunted_hum'), 'haunted_hum');

    stage.press('Measure');
    const curve = (slot) => stage.device.box(`curve_${slot}`).values;
    await stage.until(() => curve('original').some((value) => value > 0));
    assert.ok(curve('original').at(-1) > curve('original')[0] + 0.2, 'ever more like the original');
    assert.ok(curve('reference').at(-1) < curve('reference')[0] - 0.2, 'ever less like the reference');
    const middle = stage.device.box('window_equilibrium').box.presentation_rect[0];
    const [left, , width] = stage.device.box('display').box.presentation_rect;
    assert.ok(left < middle && middle < left + width);

    stage.turn('Blend', 0.4);
    stage.press('Fuse');
    await stage.until(() => stage.device.box('progress').values[0] > 0.3);
    keepMoment('fusing', stage.device);
    await stage.until(() => stage.clips().some(Boolean));
    assert.ok(fs.statSync(stage.clips().find(Boolean).properties.file_path).size > 100_000);

    stage.choose('Destination', 'To Audition');
    stage.turn('Takes', 3);
    stage.press('Morph');
    await stage.until(() => [1, 2, 3].every((take) => stage.device.buffers[`${stage.device.instance}-take${take}`]));
    stage.press('Audition');
    await stage.until(() => loudness(stage.heard(44100)) > 0.01);
    const first = stage.heard(44100);
    assert.ok(loudness(first) <= 1);
    stage.press('Audition');
    assert.equal(loudness(stage.heard()), 0);
    stage.quiet();
});
