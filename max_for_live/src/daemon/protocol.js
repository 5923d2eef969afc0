// The protocol: commands with their fields, events, limits. Made by max_for_live/build/protocol_table.py: edit that, not this.

const PROTOCOL = "1.7";
const COMMANDS = {
    hello: ["client", "protocol", "reply_port"],
    status: [],
    commands: ["command"],
    subscribe: ["seconds"],
    add_sound: ["path", "name", "start", "end", "seconds", "markers"],
    sound: ["sound"],
    sounds: ["limit", "offset"],
    keep: ["sound", "kept"],
    delete_sound: ["sound"],
    clean: ["dry_run"],
    models: [],
    checkpoints: [],
    import_checkpoint: ["path", "name"],
    export_checkpoint: ["checkpoint", "path"],
    rename_checkpoint: ["checkpoint", "name"],
    delete_checkpoint: ["checkpoint"],
    learn: ["reference", "prompt", "name", "method", "steps", "batch", "seconds", "rank", "rate", "null_dropout", "ema", "seed", "format"],
    preview: ["job", "steps", "seed", "format", "name"],
    generate: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "prompt", "reference", "seconds", "guidance", "negative"],
    vary: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "prompt", "strength", "guidance", "loop", "level", "negative"],
    invert: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "anchor", "reconstruct_from", "level"],
    fuse: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "blend", "intervention", "hold", "anchor", "guidance", "loop", "level", "spread", "place", "strength", "completion_prompt", "completion_guidance", "negative", "align"],
    morph: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "count", "hold", "anchor", "guidance", "loop", "level", "spread", "strength", "completion_prompt", "completion_guidance", "negative", "align"],
    window: ["steps", "order", "eta", "null", "seed", "format", "sample_rate", "name", "slot", "deadline", "original", "reference", "prompt", "points", "hold", "anchor", "guidance", "level", "spread", "strength", "completion_prompt", "completion_guidance", "negative", "align"],
    job: ["job"],
    jobs: ["limit", "offset", "state"],
    cancel: ["job", "request"],
    allow: ["path"],
    shutdown: [],
};
const EVENTS = ["reply", "item", "part", "accepted", "progress", "take", "done", "failed", "cancelled", "error"];
const MOST_PARTS = 1024;
const MOST_INCOMPLETE = 64;
const LONGEST_PROMPT = 2000;
const LARGEST_DATAGRAM = 32768;

module.exports = { PROTOCOL, COMMANDS, EVENTS, MOST_PARTS, MOST_INCOMPLETE, LONGEST_PROMPT, LARGEST_DATAGRAM };
