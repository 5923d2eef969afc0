// The view of one set: the two sounds, what was made of them with their questions, and the way on.

/**
 * Shows a set and returns nothing; `on` has changed() after every event that is to be kept, and next().
 */
function showSet(main, { plan, index, record, player, on }) {
  const set = plan[index];
  const count = plan.filter((each) => !each.practice).length;
  const before = plan.slice(0, index).filter((each) => !each.practice).length;
  const title = element('h2', { tabindex: '-1', id: 'title' }, set.practice ? 'Practice' : `Set ${before + 1} of ${count}`);
  const buttons = new Map();
  const elements = soundsOf(set);

  const sound = (name, label) => {
    const made = soundButton(name, label, () => {
      if (player.playing() === name) player.stop();
      else player.play(name, elements[name]);
    });
    buttons.set(name, made);
    return made.root;
  };
  const refresh = (name) => {
    const part = partOf(record, index);
    const shown = { playing: player.playing() === name, plays: part.plays[name] ?? 0, done: Boolean(part.heard[name]) };
    buttons.get(name)?.show(shown);
  };

  const problem = element('p', { role: 'alert', id: 'problem', class: 'problem' });
  const next = element('button', { type: 'button', id: 'next', class: 'main' }, index + 1 === plan.length ? 'Finish' : 'Next set');
  next.addEventListener('click', () => {
    const lacking = missing(record, index, set.stimuli.length);
    if (!lacking.length) {
      player.stop();
      on.next();
      return;
    }
    problem.textContent = missingWords(lacking);
    mark(main, lacking);
    focusOn(lacking[0]);
  });

  const intro = set.practice
    ? 'Try the buttons and the scales, and set a comfortable volume. These answers do not count. Leave the volume as it is afterwards.'
    : 'Listen to the two sounds, then to each result, as often as you like. There are no right answers.';
  const parents = element('section', { class: 'parents', 'aria-labelledby': 'parents-title' },
    element('h3', { id: 'parents-title' }, 'The two sounds'),
    element('div', { class: 'pair' }, sound('A', 'Sound A'), sound('B', 'Sound B')));
  const results = set.stimuli.map((_, place) => result(place + 1));

  function result(place) {
    const answers = partOf(record, index).answers[place] ?? {};
    const questions = QUESTIONS.map((name) => question(place, name, answers[name], (value) => {
      answered(record, index, place, name, value, new Date().toISOString());
      problem.textContent = '';
      unmark(`ask-${place}-${name}`);
      on.changed();
    }));
    return element('section', { class: 'result', 'aria-labelledby': `result-${place}` },
      element('h3', { id: `result-${place}` }, `Result ${place}`), sound(String(place), `Result ${place}`),
      element('div', { class: 'questions' }, ...questions));
  }

  player.on = {
    started(name) {
      played(record, index, name);
      refresh(name);
      on.changed();
    },
    moved: (name, part) => buttons.get(name)?.moved(part),
    ended(name) {
      heard(record, index, name);
      problem.textContent = '';
      unmark(`row-${name}`);
      on.changed();
    },
    stopped: refresh,
    failed(name) {
      problem.textContent = `This browser could not play ${soundName(name)}. Try another browser; your answers are kept in this one.`;
    },
  };
  seen(record, index, new Date().toISOString());
  on.changed();
  main.replaceChildren(title, element('p', {}, intro), parents, element('div', { class: 'results' }, ...results),
    element('div', { class: 'onward' }, problem, next));
  for (const name of buttons.keys()) refresh(name);
  title.focus();
  window.scrollTo(0, 0);
}

/** Returns the page's elements that hold the sounds of a set, by the names of their buttons. */
function soundsOf(set) {
  const second = set.first === 'original' ? 'reference' : 'original';
  const found = { A: set.parents[set.first], B: set.parents[second] };
  set.stimuli.forEach((stimulus, place) => {
    found[place + 1] = stimulus.sound;
  });
  return found;
}

/** Marks what is missing, and nothing else. */
function mark(main, lacking) {
  for (const each of main.querySelectorAll('.lacking')) unmark(each.id);
  for (const { sound, question: name } of lacking) {
    document.getElementById(name ? `ask-${sound}-${name}` : `row-${sound}`).classList.add('lacking');
  }
}

function unmark(id) {
  document.getElementById(id).classList.remove('lacking');
}

function focusOn({ sound, question: name }) {
  const id = name ? `answer-${sound}-${name}-1` : `play-${sound}`;
  document.getElementById(id).focus();
}
