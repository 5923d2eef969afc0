// The course of a session: the listener's name, the sets, the end; and the results at any time.

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;

/** Starts the page, where the listener left it if there was one. */
function start() {
  const study = JSON.parse(atob(document.getElementById('study').textContent));
  const main = document.querySelector('main');
  const save = document.getElementById('save');
  const store = openStore(() => window.localStorage, study.study);
  const player = newPlayer(Object.fromEntries(
    ['started', 'moved', 'ended', 'stopped', 'failed'].map((event) => [event, (...values) => player.on?.[event](...values)]),
  ));
  let record = null;
  let plan = [];

  const keep = () => {
    store.keep(record);
    showProgress(record, plan);
  };
  const enter = (listener) => {
    record = store.record(listener) ?? newRecord(study.study, listener, new Date().toISOString());
    plan = planFor(study, listener);
    store.write('last', listener);
    save.hidden = false;
    go();
  };
  const leave = () => {
    player.stop();
    store.write('last', null);
    record = null;
    save.hidden = true;
    showProgress(null, plan);
    showWelcome(main, { study, store, enter });
  };
  const go = () => {
    keep();
    if (record.at >= plan.length) {
      showEnd(main, { download, leave, listener: record.listener });
      return;
    }
    const next = () => {
      record.at += 1;
      go();
    };
    showSet(main, { plan, index: record.at, record, player, on: { changed: keep, next } });
  };
  const download = () => {
    const address = URL.createObjectURL(new Blob([csvOf(rowsOf(record, plan))], { type: 'text/csv' }));
    const link = element('a', { href: address, download: `listening-${record.listener}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  };

  save.addEventListener('click', download);
  const last = store.read('last');
  if (last && store.record(last)) enter(last);
  else leave();
}

/** Shows what the study is, and asks for the listener's name. */
function showWelcome(main, { study, store, enter }) {
  const sets = study.sets.filter((set) => !set.practice).length;
  const text = [
    `You will hear ${sets} pairs of sounds, and for each pair several results that were made from the two. For each result you say whether you hear one sound or two, and how much it is like either of them.`,
    'Use headphones in a quiet room. Take breaks as you like: this browser keeps your answers, and nothing is sent anywhere. At the end you save a file and pass it to whoever runs the study.',
  ];
  const input = element('input', { id: 'listener', name: 'listener', autocomplete: 'off', spellcheck: 'false', maxlength: '32', required: '', 'aria-describedby': 'listener-help problem' });
  const problem = element('p', { role: 'alert', id: 'problem', class: 'problem' });
  const form = element('form', { novalidate: '' },
    element('label', { for: 'listener' }, 'Your listener name'), input,
    element('p', { id: 'listener-help', class: 'help' }, 'The name or number that you were given: letters, digits, - and _. The same name continues where it stopped.'),
    problem, element('button', { type: 'submit', id: 'begin', class: 'main' }, 'Begin'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const name = input.value.trim();
    if (NAME.test(name)) {
      enter(name);
      return;
    }
    problem.textContent = name
      ? `“${name}” cannot be a listener name. Use letters, digits, - and _, at most 32, and begin with a letter or digit.`
      : 'Please enter the name or number that you were given.';
    input.focus();
  });
  const title = element('h2', { tabindex: '-1' }, 'Welcome');
  main.replaceChildren(title, ...text.map((words) => element('p', {}, words)), form);
  if (!store.lasting) {
    main.append(element('p', { class: 'problem' }, 'This browser does not let the page keep anything: do not close or reload it before you have saved your answers.'));
  }
}

/** Shows the end, with the results to save. */
function showEnd(main, { download, leave, listener }) {
  const button = element('button', { type: 'button', id: 'download', class: 'main' }, 'Save the results');
  button.addEventListener('click', download);
  const other = element('button', { type: 'button', id: 'other' }, 'Another listener');
  other.addEventListener('click', leave);
  const title = element('h2', { tabindex: '-1', id: 'title' }, 'Thank you');
  main.replaceChildren(title,
    element('p', {}, `That was all. Save the file listening-${listener}.csv and pass it to whoever runs the study.`),
    element('p', { class: 'row' }, button, other));
  title.focus();
  window.scrollTo(0, 0);
}

/** Shows how far a listener has come. */
function showProgress(record, plan) {
  const progress = document.getElementById('progress');
  progress.hidden = record === null;
  if (record === null) return;
  progress.max = plan.length;
  progress.value = record.at;
  progress.textContent = `${record.at} of ${plan.length}`;
}
