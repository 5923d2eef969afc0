// What the panel shows at a moment, for the picture of it: every text, value, curve and waveform, as it is in the simulator.
// With TERTIUM_MOMENTS set to a folder, the tests write such moments there.

import fs from 'node:fs';
import path from 'node:path';

const WAVE_COLUMNS = 170;
const rounded = (value) => Math.round(value * 1e4) / 1e4;

// The lowest and the highest sample of each column of a waveform.
function peaks({ channels: [samples], frames }) {
    return Array.from({ length: WAVE_COLUMNS }, (_, column) => {
        const part = samples.subarray(Math.floor((column * frames) / WAVE_COLUMNS), Math.floor(((column + 1) * frames) / WAVE_COLUMNS));
        return [rounded(Math.min(...part)), rounded(Math.max(...part))];
    });
}

function moment(device) {
    const found = { texts: {}, parameters: {}, curves: {}, waves: {}, faces: {}, light: null, progress: 0, checkpoint: '' };
    for (const object of device.boxes.values()) {
        const { varname: name, maxclass, presentation } = object.box;
        if (!presentation) continue;
        if (object.parameter) found.parameters[object.name] = object.value ?? 0;
        else if (maxclass === 'live.comment' || maxclass === 'textedit') found.texts[name] = object.text;
        else if (maxclass === 'umenu') found.checkpoint = object.shown;
        else if (maxclass === 'waveform~') found.waves[name] = object.sound ? peaks(object.sound) : [];
        else if (maxclass === 'multislider' && object.values.length === 1) [found.progress] = object.values;
        else if (maxclass === 'multislider') found.curves[name] = object.box.hidden ? [] : object.values.map(rounded);
        else if (name === 'light') found.light = `rgb(${object.color.slice(0, 3).map((part) => Math.round(part * 255)).join(',')})`;
        else if (/^window_/.test(name)) found.faces[name] = object.box.presentation_rect;
    }
    return found;
}

function keepMoment(name, device) {
    const folder = process.env.TERTIUM_MOMENTS;
    if (folder) fs.writeFileSync(path.join(folder, `${name}.json`), `${JSON.stringify(moment(device))}\n`);
}

export { keepMoment };
