// Checks of the audio path, by ear: blocks are rendered and looked at.

import assert from 'node:assert/strict';
import { table, loaded, constant, ramp, FRAMES } from './recorded.mjs';

const near = (actual, expected, what, tolerance = 1e-3) =>
    assert.ok(Math.abs(actual - expected) < tolerance, `${what}: ${actual} is not ${expected}`);

const checks = {};

checks['the track passes through untouched'] = (make) => {
    const { device } = loaded(make);
    const track = [Float64Array.from({ length: 256 }, (_, n) => Math.sin(n)), Float64Array.from({ length: 256 }, (_, n) => Math.cos(n))];
    assert.deepEqual(device.render(256, track), track);
};

checks['nothing is added while audition is off'] = (make) => {
    const { device, audio } = loaded(make);
    audio('load', 1, constant(0.5, 0.25));
    audio('takes', 1, 100);
    audio('gain', 1, 1);
    for (const channel of device.render(2048)) assert.ok(channel.every((value) => value === 0));
};

for (let take = 1; take <= table.takes; take += 1) {
    checks[`take ${take} is heard on both sides, at its gain`] = (make) => {
        const { device, audio } = loaded(make);
        audio('load', take, constant(0.5, -0.25));
        audio('takes', table.takes, 100);
        audio('gain', take, 0.5);
        audio('play', 1);
        device.render(2048);
        const [left, right] = device.render(64);
        near(left[0], 0.25, 'left');
        near(right[0], -0.125, 'right');
        audio('gain', take, 0);
        device.render(2048);
        for (const channel of device.render(64)) near(channel[0], 0, 'off');
    };
}

checks['takes are added, and are in step'] = (make) => {
    const { device, audio } = loaded(make);
    audio('takes', table.takes, 100);
    for (let take = 1; take <= table.takes; take += 1) {
        audio('load', take, ramp());
        audio('gain', take, 1 / table.takes);
    }
    audio('play', 1);
    device.render(2048);
    near(device.render(1)[0][0], 2048 / FRAMES, 'parts of one sound are the sound');
};

checks['a loop is as long as its takes, and audition begins at its start'] = (make) => {
    const { device, audio } = loaded(make);
    audio('load', 1, ramp());
    audio('takes', 1, 100);
    audio('gain', 1, 1);
    audio('play', 1);
    device.render(2000);
    near(device.render(1)[0][0], 2000 / FRAMES, 'after 2000 frames', 2e-3);
    device.render(FRAMES - 2001);
    near(device.render(1)[0][0], 0, 'after one loop', 2e-3);
    device.render(1000);
    audio('play', 0);
    device.render(1000);
    audio('play', 1);
    device.render(1500);
    near(device.render(1)[0][0], 1500 / FRAMES, 'from the start again', 2e-3);
};

checks['a change of gain is a ramp and no click'] = (make) => {
    const { device, audio } = loaded(make);
    audio('load', 1, constant(1, 1));
    audio('takes', 1, 100);
    audio('gain', 1, 1);
    audio('play', 1);
    device.render(4096);
    audio('gain', 1, 0);
    const [left] = device.render(1024);
    for (let n = 1; n < left.length; n += 1) assert.ok(Math.abs(left[n] - left[n - 1]) < 0.01, 'steps are small');
};

checks['no more than full scale is ever added'] = (make) => {
    const { device, audio } = loaded(make);
    for (const take of [1, 2]) {
        audio('load', take, constant(1, -1));
        audio('gain', take, 1);
    }
    audio('takes', 2, 100);
    audio('play', 1);
    device.render(2048);
    const [left, right] = device.render(64);
    near(left[0], 1, 'left');
    near(right[0], -1, 'right');
};

checks['a length of nothing does not stop the loop for good'] = (make) => {
    const { device, audio } = loaded(make);
    audio('takes', 1, 0);
    for (const channel of device.render(64)) assert.ok(channel.every(Number.isFinite));
};

export { checks };
