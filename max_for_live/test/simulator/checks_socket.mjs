// Checks over real sockets.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import { once } from 'node:events';
import osc from 'osc-min';
import { loaded } from './recorded.mjs';

const checks = {};

checks['OSC goes out to the daemon and its answers come back'] = async (make, patience = 20_000) => {
    const { device, heard, say } = loaded(make);
    const daemon = dgram.createSocket('udp4');
    daemon.bind(0, '127.0.0.1');
    await once(daemon, 'listening');
    const free = dgram.createSocket('udp4');
    free.bind(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address();
    free.close();
    await once(free, 'close');
    try {
        say(0, ['host', '127.0.0.1']);
        say(0, ['port', daemon.address().port]);
        say(0, ['maxpacketsize', 32768]);
        say(1, ['port', port]);
        say(0, ['/tertium/fuse', 'id-1', 'original', '/Users/me/Müll.wav', 'blend', 0.5, 'seed', 7]);
        const [bytes] = await within(once(daemon, 'message'), patience);
        const { address, args } = osc.fromBuffer(bytes);
        assert.deepEqual([address, ...args.map(({ type, value }) => `${type} ${value}`)], [
            '/tertium/fuse', 'string id-1', 'string original', 'string /Users/me/Müll.wav', 'string blend', 'float 0.5', 'string seed', 'integer 7']);
        const answer = osc.toBuffer({ address: '/tertium/accepted', args: ['id-1', 'job', '5f0c'] });
        daemon.send(Buffer.from(answer.buffer, answer.byteOffset, answer.byteLength), port, '127.0.0.1');
        await until(() => heard.length > 0, patience);
        assert.deepEqual(heard, [['/tertium/accepted', 'id-1', 'job', '5f0c']]);
    } finally {
        daemon.close();
        device.close();
    }
};

const within = (promise, patience) => Promise.race([promise, new Promise((_, fail) => { setTimeout(() => fail(new Error('nothing came')), patience).unref(); })]);

async function until(condition, patience) {
    const end = Date.now() + patience;
    while (!condition()) {
        assert.ok(Date.now() < end, 'nothing came');
        await new Promise((done) => { setTimeout(done, 5); });
    }
}

export { checks };
