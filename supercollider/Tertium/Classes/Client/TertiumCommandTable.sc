// What the Quark must know of commands beyond their words: which fields name sounds, files and jobs, what takes time, what is never sent twice.
TertiumCommandTable {
	classvar <queued, <once, <guarded, <items;

	*initClass {
		queued = #[\learn, \preview, \generate, \vary, \invert, \fuse, \morph, \window];
		// a second try of one of these would not find what the first has left
		once = #[\import_checkpoint, \export_checkpoint, \rename_checkpoint, \delete_checkpoint];
		// UDP does not tell who speaks: these want the token of daemon.json
		guarded = #[\export_checkpoint, \rename_checkpoint, \delete_checkpoint, \allow, \shutdown];
		items = IdentityDictionary[\commands -> \commands, \sounds -> \sounds, \models -> \models, \checkpoints -> \checkpoints, \jobs -> \jobs];
	}

	// \sound, \path, \job or \plain
	*kind { |command, field|
		^case
		{ #[\original, \sound].includes(field) } { \sound }
		{ field == \reference } { if(command == \generate) { \plain } { \sound } }
		{ field == \path } { if(command == \add_sound) { \sound } { \path } }
		{ field == \job } { \job }
		{ \plain }
	}
}
