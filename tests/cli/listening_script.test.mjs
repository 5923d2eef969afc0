// The script of the listening study's page, without a page: orders, records, what is missing, results, storage.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import vm from 'node:vm';

const SOURCES = new URL('../../server/tertium/assets/listening/', import.meta.url);
const NAMES = ['chance', 'shuffled', 'planFor', 'newRecord', 'partOf', 'seen', 'played', 'heard', 'answered', 'missing', 'rowsOf', 'csvOf',
  'openStore', 'missingWords', 'soundsOf', 'QUESTIONS', 'COLUMNS'];
const text = ['order.js', 'record.js', 'store.js', 'parts.js', 'view.js'].map((name) => readFileSync(new URL(name, SOURCES), 'utf8')).join('\n');
// Run in this realm, so that arrays compare as arrays.
const script = vm.runInThisContext(`(function () { 'use strict'; ${text}\nreturn { ${NAMES.join(', ')} }; })`)();

const METHODS = ['fusion', 'interpolation', 'sum', 'vocoder'];
const study = {
  study: 's1',
  sets: ['p', 'a', 'b', 'c', 'd', 'e'].map((pair, index) => ({
    pair, kind: index ? `kind ${pair}` : 'practice', practice: index === 0,
    parents: { original: `${pair}-o`, reference: `${pair}-r` },
    stimuli: METHODS.map((method) => ({ method, sound: `${pair}-${method}` })),
  })),
};
const TIME = '2026-01-01T10:00:00.000Z';

function finish(record, plan, index, value = () => 4) {
  script.seen(record, index, TIME);
  for (const sound of ['A', 'B', 1, 2, 3, 4]) {
    script.played(record, index, sound);
    script.heard(record, index, sound);
  }
  plan[index].stimuli.forEach((stimulus, place) => {
    for (const question of script.QUESTIONS) script.answered(record, index, place + 1, question, value(stimulus, question), TIME);
  });
}

test('a listener meets the same order again, the practice first, and all sets once', () => {
  const plan = script.planFor(study, 'p01');
  assert.deepEqual(script.planFor(study, 'p01'), plan);
  assert.equal(plan[0].practice, true);
  assert.deepEqual(plan.map((set) => set.pair).sort(), ['a', 'b', 'c', 'd', 'e', 'p']);
  for (const set of plan) assert.deepEqual(set.stimuli.map((each) => each.method).sort(), METHODS);
  assert.equal(study.sets[1].stimuli[0].method, 'fusion', 'the study itself stays as it is');
});

test('over many listeners every method is in every place as often, and either sound is the first', () => {
  const listeners = Array.from({ length: 400 }, (_, index) => `p${index}`);
  const places = METHODS.map(() => [0, 0, 0, 0]);
  const sets = new Map();
  let original = 0;
  for (const listener of listeners) {
    const plan = script.planFor(study, listener);
    for (const set of plan) {
      set.stimuli.forEach((each, place) => { places[METHODS.indexOf(each.method)][place] += 1; });
      original += set.first === 'original';
    }
    sets.set(plan[1].pair, (sets.get(plan[1].pair) ?? 0) + 1);
  }
  // 2400 sets: 600 expected in each place, with a deviation of 21; 1200 with one of 24; 80 with one of 8.
  for (const count of places.flat()) assert.ok(Math.abs(count - 600) < 100, `${places}`);
  assert.ok(Math.abs(original - 1200) < 120, `${original}`);
  for (const count of sets.values()) assert.ok(Math.abs(count - 80) < 40, `${count}`);
  assert.equal(sets.size, 5);
});

test('a set is complete once every sound was heard to its end and every question answered', () => {
  const plan = script.planFor(study, 'p01');
  const record = script.newRecord('s1', 'p01', TIME);
  assert.equal(script.missing(record, 0, 4).length, 2 + 4 + 12);
  finish(record, plan, 0);
  assert.deepEqual(script.missing(record, 0, 4), []);
  delete record.sets[0].heard.B;
  delete record.sets[0].answers[3].second;
  assert.deepEqual(script.missing(record, 0, 4), [{ sound: 'B' }, { sound: 3, question: 'second' }]);
  assert.equal(script.missingWords(script.missing(record, 0, 4)), 'Still to hear to the end: 1 sound. Still to answer: 1 question.');
  script.played(record, 0, 'B');
  assert.deepEqual(script.missing(record, 0, 4)[0], { sound: 'B' }, 'a start is not enough');
});

test('the results name the method, and give each likeness to the sound that it is of', () => {
  for (const listener of ['p01', 'p02', 'p03', 'p04']) {
    const plan = script.planFor(study, listener);
    const record = script.newRecord('s1', listener, TIME);
    // Answers that depend on the method and on the true sound, whatever it was called.
    const value = (set) => (stimulus, question) => {
      if (question === 'one') return METHODS.indexOf(stimulus.method) + 1;
      const isOriginal = (question === 'first') === (set.first === 'original');
      return isOriginal ? 7 : 2;
    };
    plan.forEach((set, index) => finish(record, plan, index, value(set)));
    const rows = script.rowsOf(record, plan);
    assert.equal(rows.length, 24);
    for (const row of rows) {
      assert.equal(row.one, METHODS.indexOf(row.method) + 1);
      assert.deepEqual([row.like_original, row.like_reference], [7, 2]);
      assert.deepEqual([row.plays, row.plays_original, row.plays_reference], [1, 1, 1]);
    }
    assert.deepEqual(rows.slice(0, 4).map((row) => [row.kind, row.set, row.order]), [1, 2, 3, 4].map((order) => ['practice', 0, order]));
  }
});

test('plays are counted for the sound that it is, whichever is called A', () => {
  const plan = script.planFor(study, 'p01');
  const record = script.newRecord('s1', 'p01', TIME);
  plan.forEach((set, index) => {
    script.seen(record, index, TIME);
    for (let time = 0; time < 3; time += 1) script.played(record, index, set.first === 'original' ? 'A' : 'B');
  });
  for (const row of script.rowsOf(record, plan)) assert.deepEqual([row.plays, row.plays_original, row.plays_reference], [0, 3, 0]);
});

test('the buttons play the sounds that the results say', () => {
  const firsts = new Set();
  for (const listener of ['p01', 'p02', 'p03']) {
    for (const set of script.planFor(study, listener)) {
      const sounds = script.soundsOf(set);
      const second = set.first === 'original' ? 'reference' : 'original';
      assert.deepEqual([sounds.A, sounds.B], [`${set.pair}-${set.first[0]}`, `${set.pair}-${second[0]}`]);
      const record = script.newRecord('s1', listener, TIME);
      script.seen(record, 0, TIME);
      for (const row of script.rowsOf(record, [set])) assert.equal(sounds[row.order], `${set.pair}-${row.method}`);
      firsts.add(set.first);
    }
  }
  assert.equal(firsts.size, 2);
});

test('what was seen but not answered is empty, and what was not seen is absent', () => {
  const plan = script.planFor(study, 'p01');
  const record = script.newRecord('s1', 'p01', TIME);
  finish(record, plan, 0);
  script.seen(record, 1, TIME);
  script.answered(record, 1, 2, 'one', 5, TIME);
  const rows = script.rowsOf(record, plan);
  assert.equal(rows.length, 8);
  assert.deepEqual(rows.slice(4).map((row) => row.one), ['', 5, '', '']);
  assert.equal(rows[5].like_original, '');
});

test('CSV keeps commas, quotes and lines in their cells', () => {
  const row = Object.fromEntries(script.COLUMNS.map((column) => [column, 1]));
  const lines = script.csvOf([{ ...row, pair: 'a, "b"\n+ c' }]);
  assert.ok(lines.startsWith(`${script.COLUMNS.join(',')}\r\n`));
  assert.ok(lines.includes(',"a, ""b""\n+ c",'));
});

test('records are kept for each listener, and survive damage and a storage that is forbidden', () => {
  const kept = new Map();
  const storage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  const store = script.openStore(() => storage, 's1');
  store.keep({ listener: 'p01', at: 3 });
  assert.equal(script.openStore(() => storage, 's1').record('p01').at, 3);
  assert.equal(script.openStore(() => storage, 's2').record('p01'), null, 'another study');
  assert.equal(store.record('p02'), null);
  kept.set('tertium-listening:s1:listener:p01', '{"at": 3');
  assert.equal(store.record('p01'), null);
  const forbidden = script.openStore(() => { throw new Error('SecurityError'); }, 's1');
  assert.equal(forbidden.lasting, false);
  forbidden.keep({ listener: 'p01', at: 2 });
  assert.equal(forbidden.record('p01').at, 2);
});
