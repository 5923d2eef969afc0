// Text and numbers: what comes from outside is brought to the kind that it must have, and into words that a panel can show.

/** A finite number from an atom, or from the text in which OSC carries what it has no type for; else `otherwise`. */
function number(value, otherwise) {
    const found = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    return typeof found === "number" && isFinite(found) ? found : otherwise;
}

function within(value, low, high) {
    return Math.min(high, Math.max(low, value));
}

function has(object, name) {
    return Object.prototype.hasOwnProperty.call(object, name);
}

/** A list that OSC carries as JSON, or the list itself; nothing that is no list. */
function listOf(value) {
    if (Array.isArray(value)) {
        return value;
    }
    try {
        const found = JSON.parse(value);
        return Array.isArray(found) ? found : [];
    } catch (problem) {
        return [];
    }
}

/** Text of one line that a panel can show. */
function line(value, longest) {
    const text = String(value === undefined || value === null ? "" : value).replace(/\s+/g, " ").trim();
    const letters = Array.from(text);
    return letters.length > longest ? letters.slice(0, longest - 1).join("") + "…" : text;
}

function sentence(text) {
    const whole = line(text, 200);
    return whole && !/[.!?…”]$/.test(whole) ? whole + "." : whole;
}

/** A number of seconds in words. */
function duration(value) {
    return value >= 60 ? `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")} min` : `${value.toFixed(2)} s`;
}

/** What the daemon takes as the name of a sound: part of a file's name on every system. */
function plainName(text) {
    const plain = String(text).replace(/[/\\:*?"<>|]/g, "-").replace(/[\p{C}\u2028\u2029]/gu, "");
    return Array.from(plain.replace(/^[. ]+/, "")).slice(0, 100).join("").replace(/[. ]+$/, "");
}

module.exports = { number, within, has, listOf, line, sentence, duration, plainName };
