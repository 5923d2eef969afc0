// One sound at a time. A sound counts as heard when it came to its end.

/** Returns a player of sounds; `on` has started(name), moved(name, part 0 to 1), ended(name), stopped(name), failed(name). */
function newPlayer(on) {
  const audio = new Audio();
  const addresses = new Map();
  let current = null;

  const stop = () => {
    if (current === null) return;
    const name = current;
    current = null;
    audio.pause();
    on.stopped(name);
  };
  const frame = () => {
    if (current === null) return;
    if (audio.duration > 0) on.moved(current, Math.min(1, audio.currentTime / audio.duration));
    requestAnimationFrame(frame);
  };
  const fail = () => {
    const name = current;
    stop();
    if (name !== null) on.failed(name);
  };

  audio.addEventListener('ended', () => {
    const name = current;
    if (name === null) return;
    on.moved(name, 1);
    on.ended(name);
    stop();
  });
  audio.addEventListener('error', fail);

  return {
    stop,
    playing: () => current,
    /** Plays the sound of an element of the page from its beginning; `name` is what it is called in events. */
    play(name, element) {
      stop();
      if (!addresses.has(element)) addresses.set(element, addressOf(element));
      current = name;
      audio.src = addresses.get(element);
      audio.play().then(() => {
        if (current !== name) return;
        on.started(name);
        frame();
      }, (error) => {
        if (current === name && error.name !== 'AbortError') fail();
      });
    },
  };
}

/** Returns an address of the sound that an element holds in base64. */
function addressOf(element) {
  const text = atob(document.getElementById(element).textContent);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: 'audio/flac' }));
}
