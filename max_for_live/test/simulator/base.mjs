// What every object of the simulator has: the box that it was made from, and its wires.

class Base {
    constructor(device, box, words = []) {
        Object.assign(this, { device, box, words });
        this.wires = Array.from({ length: box.numoutlets }, () => []);
        this.sources = Array.from({ length: box.numinlets }, () => []);
    }

    // Max sends from right to left, and from the bottom up where boxes stand in one column.
    sortWires() {
        for (const wires of this.wires) {
            wires.sort(([{ box: a }], [{ box: b }]) => b.patching_rect[0] - a.patching_rect[0] || b.patching_rect[1] - a.patching_rect[1]);
        }
    }

    out(outlet, message) {
        for (const [target, inlet] of this.wires[outlet]) target.receive(inlet, message);
    }

    receive(inlet, message) {
        this.device.complain(this, `doesn't understand "${message.join(' ')}"`);
    }
}

const isNumber = (value) => typeof value === 'number';
const isBang = (message) => message.length === 1 && message[0] === 'bang';
// A message that begins with a number is a list to Max; with a word, it has that word as selector.
const isList = (message) => message.every(isNumber);

export { Base, isNumber, isBang, isList };
