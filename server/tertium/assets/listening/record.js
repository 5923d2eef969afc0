// The record of one listener: answers, plays and times; what is missing of a set; and the rows of the results.

const QUESTIONS = ['one', 'first', 'second'];
const COLUMNS = [
  'study', 'listener', 'set', 'pair', 'kind', 'method', 'order', 'one', 'like_original', 'like_reference', 'first_sound',
  'plays', 'plays_original', 'plays_reference', 'set_began', 'answered',
];

/** Returns a record in which nothing has happened. */
function newRecord(study, listener, now) {
  return { study, listener, began: now, at: 0, sets: [] };
}

/** Returns the part of a record about one set of the plan, made when it is first asked for. */
function partOf(record, index) {
  record.sets[index] ??= { began: null, plays: {}, heard: {}, answers: {} };
  return record.sets[index];
}

/** Notes that a listener sees a set. */
function seen(record, index, now) {
  partOf(record, index).began ??= now;
}

/** Notes that a sound (`A`, `B`, or the number of a stimulus) was started. */
function played(record, index, sound) {
  const { plays } = partOf(record, index);
  plays[sound] = (plays[sound] ?? 0) + 1;
}

/** Notes that a sound was heard to its end. */
function heard(record, index, sound) {
  partOf(record, index).heard[sound] = true;
}

/** Notes the answer (1 to 7) to a question about a stimulus. */
function answered(record, index, stimulus, question, value, now) {
  const { answers } = partOf(record, index);
  answers[stimulus] = { ...answers[stimulus], [question]: value, at: now };
}

/** Returns what a set still lacks, in the order of the page: `{ sound }` to be heard, `{ sound, question }` to be answered. */
function missing(record, index, stimuli) {
  const part = partOf(record, index);
  const found = ['A', 'B'].filter((sound) => !part.heard[sound]).map((sound) => ({ sound }));
  for (let sound = 1; sound <= stimuli; sound += 1) {
    if (!part.heard[sound]) found.push({ sound });
    for (const question of QUESTIONS) {
      if (!part.answers[sound]?.[question]) found.push({ sound, question });
    }
  }
  return found;
}

/** Returns the rows of all sets that were seen, one for each stimulus; what was not answered is empty. */
function rowsOf(record, plan) {
  return plan.flatMap((set, index) => {
    const part = record.sets[index];
    return part?.began ? set.stimuli.map((stimulus, place) => rowOf(record, set, index, part, stimulus, place + 1)) : [];
  });
}

function rowOf(record, set, index, part, stimulus, place) {
  const answers = part.answers[place] ?? {};
  const firstIsOriginal = set.first === 'original';
  const [original, reference] = firstIsOriginal ? ['first', 'second'] : ['second', 'first'];
  const [ofOriginal, ofReference] = firstIsOriginal ? ['A', 'B'] : ['B', 'A'];
  return {
    study: record.study, listener: record.listener, set: index, pair: set.pair, kind: set.kind,
    method: stimulus.method, order: place, one: answers.one ?? '', like_original: answers[original] ?? '',
    like_reference: answers[reference] ?? '', first_sound: set.first, plays: part.plays[place] ?? 0,
    plays_original: part.plays[ofOriginal] ?? 0, plays_reference: part.plays[ofReference] ?? 0, set_began: part.began,
    answered: answers.at ?? '',
  };
}

/** Returns rows as CSV (RFC 4180). */
function csvOf(rows) {
  const lines = rows.map((row) => COLUMNS.map((column) => cell(row[column])).join(','));
  return `${[COLUMNS.join(','), ...lines].join('\r\n')}\r\n`;
}

function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
