// Signals: a module lets those above it know of something without naming them.

/** A list of functions, all of which are called with what is sent, in the order in which they came. */
function signal() {
    const listeners = [];
    return {
        listen(run) {
            listeners.push(run);
        },

        send(...values) {
            listeners.forEach((run) => run(...values));
        },
    };
}

module.exports = { signal };
