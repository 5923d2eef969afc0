// The parts of a set's view: a button that plays a sound, and a question with seven answers.

const SCALE = [1, 2, 3, 4, 5, 6, 7];
const WORDS = {
  one: { ask: 'Do you hear one sound or two?', low: 'two separate sounds', high: 'one single sound' },
  first: { ask: 'How much is it like sound A?', low: 'not at all', high: 'very much' },
  second: { ask: 'How much is it like sound B?', low: 'not at all', high: 'very much' },
};

/** Returns an element with attributes and children (elements or text). */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}

/** Returns the button and the state of a sound, `{ root, button, show }`. */
function soundButton(name, label, onPress) {
  const icon = element('span', { class: 'icon', 'aria-hidden': 'true' });
  const words = element('span', {}, label);
  const bar = element('span', { class: 'bar', 'aria-hidden': 'true' }, element('span', {}));
  const button = element('button', { type: 'button', id: `play-${name}`, class: 'play' }, icon, words, bar);
  const state = element('span', { class: 'state', id: `state-${name}` });
  button.setAttribute('aria-describedby', state.id);
  button.addEventListener('click', onPress);
  return {
    root: element('div', { class: 'sound-row', id: `row-${name}` }, button, state),
    button,
    moved(part) {
      bar.firstChild.style.transform = `scaleX(${part})`;
    },
    show({ playing, plays, done }) {
      button.classList.toggle('playing', playing);
      button.classList.toggle('heard', done);
      words.textContent = playing ? `Stop ${label.toLowerCase()}` : label;
      state.textContent = done ? `heard, played ${plays}×` : 'not yet heard';
      if (!playing) bar.firstChild.style.transform = 'scaleX(0)';
    },
  };
}

/** Returns a question about a stimulus: seven radio buttons between the two ends of a scale. */
function question(stimulus, name, chosen, onAnswer) {
  const { ask, low, high } = WORDS[name];
  const set = element('fieldset', { id: `ask-${stimulus}-${name}` }, element('legend', {}, ask));
  const row = element('div', { class: 'scale' });
  row.append(element('span', { class: 'end low', 'aria-hidden': 'true' }, low));
  const choices = element('div', { class: 'choices' });
  for (const value of SCALE) {
    const meaning = value === 1 ? `, ${low}` : value === SCALE.length ? `, ${high}` : '';
    const id = `answer-${stimulus}-${name}-${value}`;
    const input = element('input', { type: 'radio', id, name: `${stimulus}-${name}`, value: String(value), 'aria-label': `${value} of 7${meaning}` });
    input.checked = chosen === value;
    input.addEventListener('change', () => onAnswer(value));
    choices.append(element('label', { for: id }, input, element('span', { 'aria-hidden': 'true' }, String(value))));
  }
  row.append(choices, element('span', { class: 'end high', 'aria-hidden': 'true' }, high));
  set.append(row);
  return set;
}

/** Returns what is missing in words. */
function missingWords(lacking) {
  const unheard = lacking.filter((each) => !each.question).length;
  const open = lacking.length - unheard;
  const said = [];
  if (unheard) said.push(`Still to hear to the end: ${unheard} ${unheard === 1 ? 'sound' : 'sounds'}.`);
  if (open) said.push(`Still to answer: ${open} ${open === 1 ? 'question' : 'questions'}.`);
  return said.join(' ');
}

/** Returns what a sound is called in a sentence. */
function soundName(sound) {
  return sound === 'A' || sound === 'B' ? `sound ${sound}` : `result ${sound}`;
}
