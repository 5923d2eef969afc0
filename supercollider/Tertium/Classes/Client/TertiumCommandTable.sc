// Generated from the protocol's command table by supercollider/quark.py. Do not edit.
// The table of commands: the properties of commands and fields that the Quark needs, and the protocol's limits.
TertiumCommandTable {
	classvar <protocol = "1.7";
	// the beginning of every OSC address
	classvar <prefix = "/tertium/";
	// the daemon's port where no other is known
	classvar <port = 7700;
	// the events that a daemon sends
	classvar <events = #[\accepted, \progress, \take, \done, \failed, \cancelled, \reply, \error, \item, \part];
	// the commands that become jobs
	classvar <queued = #[\learn, \preview, \generate, \vary, \invert, \fuse, \morph, \window];
	// the commands that need the token of daemon.json, since UDP does not say who sends
	classvar <guarded = #[\delete_sound, \clean, \export_checkpoint, \rename_checkpoint, \delete_checkpoint, \allow, \shutdown];
	// the commands that are sent once: a second try would not find what the first has left
	classvar <once = #[\import_checkpoint, \export_checkpoint, \rename_checkpoint, \delete_checkpoint, \delete_sound];
	// the commands whose reply is a sound, and those whose items are sounds
	classvar <soundReplies = #[\add_sound, \sound, \keep], <soundItems = #[\sounds];
	// the fields of answers that are lists, which OSC carries as JSON text
	classvar <lists = #[\takes, \points, \ratios, \notes, \transports, \parameters];
	// the fields that a morph's takes have in common
	classvar <sharedByTakes = #[\job, \frames, \channels, \sample_rate, \seconds, \seed, \steps, \model];
	// the largest number of takes of a morph, of parts of an answer, of answers that lack parts
	classvar <mostTakes = 32, <mostParts = 1024, <mostIncomplete = 64;
	// command to the field of its reply whose elements come one by one; field to kind, and command to field to kind where it has one of its own
	classvar <items, kinds, ownKinds;

	*initClass {
		items = IdentityDictionary[\commands -> \commands, \sounds -> \sounds, \models -> \models, \checkpoints -> \checkpoints, \jobs -> \jobs];
		kinds = IdentityDictionary[\path -> \path, \sound -> \sound, \reference -> \sound, \job -> \job, \original -> \sound];
		ownKinds = IdentityDictionary[\add_sound -> IdentityDictionary[\path -> \sound], \generate -> IdentityDictionary[\reference -> \plain]]
	}

	// the kind of a field: \sound, \path, \job or \plain
	*kind { |command, field| ^ownKinds[command] !? { |own| own[field] } ?? { kinds[field] ? \plain } }
}
