// Chance that a listener's name decides: the same listener meets the same order again, another listener another one.

/** Returns 32 bits of a text (FNV-1a, with a final mixing so that similar texts give unlike numbers). */
function hashOf(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** Returns a function that gives whole numbers from 0 to below a limit, all alike probable: draw `n` is the hash of the seed and n. */
function chance(seed) {
  let draws = 0;
  return (limit) => Math.floor((hashOf(`${seed}/${draws++}`) / 2 ** 32) * limit);
}

/** Returns the items in a random order (Fisher and Yates). */
function shuffled(items, draw) {
  const order = items.slice();
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = draw(last + 1);
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/**
 * Returns what a listener meets: the practice sets first, then the others in random order, each with its stimuli in
 * random order, and with either of the two sounds as "sound A".
 */
function planFor(study, listener) {
  const draw = chance(`${study.study}/${listener}`);
  const practice = study.sets.filter((set) => set.practice);
  const others = shuffled(study.sets.filter((set) => !set.practice), draw);
  return [...practice, ...others].map((set) => ({
    ...set,
    first: draw(2) ? 'original' : 'reference',
    stimuli: shuffled(set.stimuli, draw),
  }));
}
