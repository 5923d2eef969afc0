// The browser's storage: each listener's record under a key of its own, so that a reload loses nothing.

const PREFIX = 'tertium-listening';

/**
 * Returns a place for records. `storage` gives the browser's, or throws where it is forbidden. `lasting` is false where
 * the browser keeps nothing: records then last as long as the page.
 */
function openStore(storage, study) {
  const memory = new Map();
  const key = (name) => `${PREFIX}:${study}:${name}`;
  const store = {
    lasting: true,
    read(name) {
      try {
        return JSON.parse((store.lasting ? storage().getItem(key(name)) : memory.get(key(name))) ?? 'null');
      } catch {
        return null; // damaged by another page
      }
    },
    write(name, value) {
      memory.set(key(name), JSON.stringify(value));
      try {
        storage().setItem(key(name), JSON.stringify(value));
      } catch {
        store.lasting = false; // full, or forbidden
      }
    },
    record: (listener) => store.read(`listener:${listener}`),
    keep: (record) => store.write(`listener:${record.listener}`, record),
  };
  store.write('tried', true);
  return store;
}
