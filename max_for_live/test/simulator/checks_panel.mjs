// Checks of the panel: what is done on it reaches the script, what the script says is seen on it.

import assert from 'node:assert/strict';
import { table, recorded, loaded, constant } from './recorded.mjs';

const SLOTS = ['original', 'reference'];
const checks = {};

checks['the script hears that Live is there once, after all parameters'] = (make) => {
    const { device, heard } = recorded(make);
    device.load();
    const names = heard.map(([selector]) => selector);
    assert.deepEqual(names.filter((name) => name === 'live_ready'), ['live_ready']);
    assert.equal(names.at(-1), 'live_ready');
    for (const control of table.controls.filter((one) => one.parameter)) assert.ok(names.includes(control.message), `${control.name} says what it is at`);
};

checks['a set that is opened again brings every parameter back, and the memory'] = (make) => {
    const stored = { 'Tertium Blend': 0.25, 'Tertium Steps': 77, 'Tertium Solver': 1, 'Tertium Memory': ['remembered'], 'Tertium Fold-out': 1 };
    const { device, heard } = recorded(make, { stored });
    device.load();
    for (const wanted of [['blend', 0.25], ['steps', 77], ['solver', 'ode'], ['memory', 'remembered']]) assert.deepEqual(heard.find(([name]) => name === wanted[0]), wanted);
    assert.equal(device.width, 1026);
};

checks['the script hears that the device goes'] = (make) => {
    const { device, last } = loaded(make);
    device.close();
    assert.deepEqual(last(), ['forget']);
};

for (const control of table.controls.filter(({ kind }) => kind === 'button')) {
    const asksForPrompt = ['fuse', 'morph', 'window', 'learn'].includes(control.name);
    const press = (device) => {
        const box = [...device.boxes.values()].find((one) => one.parameter && one.box.annotation === control.info);
        assert.ok(box, `a button says: ${control.info}`);
        box.press();
    };
    checks[`${control.name} reaches the script once`] = (make) => {
        const { device, heard } = loaded(make);
        press(device);
        assert.deepEqual(heard.filter(([name]) => name !== 'prompt'), [[control.message]]);
        assert.deepEqual(heard.at(-1), [control.message], 'and nothing after it');
    };
    if (!asksForPrompt) continue;
    checks[`${control.name} sends the prompt that was typed before it`] = (make) => {
        const { device, heard } = loaded(make);
        device.box('prompt').type('a hum, haunted');
        press(device);
        assert.deepEqual(heard, [['prompt', 'a hum, haunted'], [control.message]]);
    };
    checks[`${control.name} says that there is no prompt`] = (make) => {
        const { device, heard } = loaded(make);
        press(device);
        assert.deepEqual(heard, [['prompt'], [control.message]]);
    };
}

checks['Return in the prompt says it'] = (make) => {
    const { device, heard } = loaded(make);
    device.box('prompt').type('rain');
    device.box('prompt').enter();
    assert.deepEqual(heard, [['prompt', 'rain']]);
};

for (const control of table.controls.filter(({ kind }) => kind === 'number')) {
    checks[`${control.name} reaches the script, within its range`] = (make) => {
        const { device, heard } = loaded(make);
        const box = device.box(control.parameter.long);
        box.turn(control.maximum + 1);
        box.turn(control.minimum - 1);
        assert.deepEqual(heard, [[control.message, control.maximum], [control.message, control.minimum]]);
    };
}

for (const control of table.controls.filter(({ kind, parameter }) => kind === 'enum' && parameter)) {
    checks[`each choice of ${control.name} reaches the script`] = (make) => {
        const { device, heard } = loaded(make);
        const box = device.box(control.parameter.long);
        box.parameter.parameter_enum.forEach((item) => box.choose(item));
        assert.deepEqual(heard, control.items.map((item) => [control.message, item]));
    };
}

checks['blend is shown as a number'] = (make) => {
    const { device } = loaded(make);
    device.box('Tertium Blend').turn(0.25);
    assert.equal(device.text('blend_number'), '0.25');
};

checks['audition reaches the script, and the script switches it without an echo'] = (make) => {
    const { device, heard, panel } = loaded(make);
    device.box('Tertium Audition').press();
    assert.deepEqual(heard, [['audition', 1]]);
    panel('control', 'audition', 0);
    assert.equal(device.box('Tertium Audition').value, 0);
    assert.equal(heard.length, 1);
};

for (const slot of SLOTS) {
    checks[`a file dropped on the ${slot} reaches the script`] = (make) => {
        const { device, heard } = loaded(make);
        device.box(`Tertium ${slot[0].toUpperCase()}${slot.slice(1)} Drop`).drop('/Users/me/Ein schöner Klang.wav');
        assert.deepEqual(heard, [[`${slot}_drop`, '/Users/me/Ein schöner Klang.wav']]);
    };
    checks[`the ${slot}'s waveform is that of its file`] = (make) => {
        const { device, audio } = loaded(make);
        const file = constant(0.5, 0.25);
        audio('slot_wave', slot, file);
        assert.equal(device.box(`${slot}_wave`).sound?.path, file);
    };
}

checks['checkpoints are listed by the script, and the chosen one is named as it is'] = (make) => {
    const { device, heard, panel } = loaded(make);
    panel('checkpoints', 'clear');
    for (const name of ['none', 'hum', 'my second hum']) panel('checkpoints', 'append', name);
    const menu = device.box('checkpoints');
    assert.deepEqual(menu.items, ['none', 'hum', 'my second hum']);
    panel('checkpoints', 'setsymbol', 'hum');
    assert.equal(menu.shown, 'hum');
    assert.deepEqual(heard, []);
    menu.choose('my second hum');
    assert.deepEqual(heard, [['checkpoint', 'my second hum']]);
};

checks['the memory is kept with the set, and heard back'] = (make) => {
    const { device, heard, panel } = loaded(make);
    panel('memory', 'abc');
    assert.deepEqual(device.stored['Tertium Memory'], ['abc']);
    assert.deepEqual(heard, [['memory', 'abc']]);
};

for (const { selector, outlet, arguments: given } of table.from_script) {
    if (outlet !== 2 || given[0] !== 'set') continue;
    checks[`${selector} is shown`] = (make) => {
        const { device, heard, panel } = loaded(make);
        const box = selector === 'prompt_text' ? 'prompt' : selector;
        panel(selector, 'set', 'words, as they are: ü');
        assert.equal(device.text(box), 'words, as they are: ü');
        panel(selector, 'set', ' ');
        assert.equal(device.text(box).trim(), '');
        assert.deepEqual(heard, []);
    };
}

checks['the command is selected, to be copied'] = (make) => {
    const { device, panel } = loaded(make);
    panel('command_text', 'select');
    assert.equal(device.box('command_text').selected, true);
};

checks['progress is a bar'] = (make) => {
    const { device, panel } = loaded(make);
    panel('progress', 0.5);
    assert.deepEqual(device.box('progress').values, [0.5]);
};

for (const slot of SLOTS) {
    checks[`the curve of likeness to the ${slot} is drawn`] = (make) => {
        const { device, panel } = loaded(make);
        const values = Array.from({ length: table.points }, (_, n) => n / (table.points - 1));
        panel(`curve_${slot}`, ...values);
        assert.deepEqual(device.box(`curve_${slot}`).values, values);
        assert.deepEqual(device.box(`curve_${slot === 'original' ? 'reference' : 'original'}`).values, values.map(() => 0));
    };
}

checks['the marks lie where their blends are'] = (make) => {
    const { device, panel } = loaded(make);
    const face = (name) => device.box(name).box.presentation_rect;
    const [left, top, width, height] = face('display');
    panel('marks', 0.25, 0.5, 0.75, 0.4);
    assert.deepEqual(face('window_shade'), [left + width / 4, top, width / 2, height]);
    assert.deepEqual(face('window_equilibrium'), [Math.trunc(left + 0.5 + (width - 1) / 2), top, 1, height]);
    assert.deepEqual(face('window_position'), [Math.trunc(left + 0.5 + (width - 2) * 0.4), top, 2, height]);
    panel('marks', 0, 1, 1, 1);
    assert.deepEqual(face('window_shade'), [left, top, width, height]);
    for (const name of ['window_equilibrium', 'window_position']) assert.ok(face(name)[0] + face(name)[2] <= left + width);
    panel('marks', -1, -1, -1, 0);
    for (const name of ['window_shade', 'window_equilibrium']) assert.ok(face(name)[0] + face(name)[2] <= 0, `${name} is not seen before the pair is measured`);
    assert.equal(face('window_position')[0], left);
};

checks['the curves are seen once the pair is measured'] = (make) => {
    const { device, panel } = loaded(make);
    const hidden = () => SLOTS.map((slot) => device.box(`curve_${slot}`).box.hidden);
    panel('marks', -1, -1, -1, 0.5);
    assert.deepEqual(hidden(), [1, 1]);
    panel('marks', 0.1, 0.4, 0.9, 0.5);
    assert.deepEqual(hidden(), [0, 0]);
};

checks['the light has a colour for each state of the daemon'] = (make) => {
    const { device, panel } = loaded(make);
    const colors = [0, 1, 2].map((state) => {
        panel('light', state);
        return device.box('light').color.join(' ');
    });
    assert.equal(new Set(colors).size, 3);
    panel('light', 0);
    assert.equal(device.box('light').color.join(' '), colors[0]);
};

checks['folding out makes the device wider, folding in narrower'] = (make) => {
    const { device } = loaded(make);
    const narrow = device.width;
    device.box('Tertium Fold-out').press();
    assert.ok(device.width > narrow);
    device.box('Tertium Fold-out').press();
    assert.equal(device.width, narrow);
};

checks['a folder for the results is asked for'] = (make) => {
    const { device, heard } = loaded(make, { dialog: '/Users/me/My results' });
    device.box('Tertium Choose Results').press();
    assert.deepEqual(heard, [['choose_results', '/Users/me/My results']]);
};

checks['a folder that is not chosen changes nothing'] = (make) => {
    const { device, heard } = loaded(make);
    device.box('Tertium Choose Results').press();
    assert.deepEqual(heard, []);
};

checks["the daemon's own folder can be gone back to"] = (make) => {
    const { device, heard } = loaded(make);
    device.box('Tertium Default Results').press();
    assert.deepEqual(heard, [['choose_results']]);
};

checks["the daemon's port reaches the script"] = (make) => {
    const { device, heard } = loaded(make);
    device.box('Tertium Port').turn(57001);
    assert.deepEqual(heard, [['daemon', 57001]]);
};

export { checks };
