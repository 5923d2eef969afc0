// The outlets of the script; ../../interface.json is the table of what passes through them.

const TO_DAEMON = 0;
const TO_ANSWERS = 1;
const TO_PANEL = 2;
const TO_AUDIO = 3;

module.exports = { TO_DAEMON, TO_ANSWERS, TO_PANEL, TO_AUDIO };
