// What an action is given: the fields of an answer as the thing that they describe.
TertiumResult {

	// of a job: a TertiumSound; for a morph an Array of them, the reference's end first; for a window a TertiumWindow
	*done { |command, fields, takes|
		^switch(command,
			\morph, { this.morph(fields, takes) },
			\window, { TertiumWindow(fields) },
			{ TertiumSound.fromFields(fields) }
		)
	}

	// of an immediate command: a TertiumSound where it tells of one, else an Event
	*reply { |command, fields| ^if([\sound, \add_sound].includes(command)) { TertiumSound.fromFields(fields) } { fields } }

	*item { |command, fields| ^if(command == \sounds) { TertiumSound.fromFields(fields) } { fields } }

	// done lists all takes; those whose announcement was lost are as long as the others
	*morph { |fields, takes|
		^(fields[\takes] ? []).collect { |take|
			var announced = takes[take[\index]];
			if(announced.notNil and: { announced.path == take[\path] }) { announced } {
				TertiumSound.fromFields(this.shared(fields).putAll(take))
			}
		}
	}

	*shared { |fields|
		var shared = Event.new;
		[\job, \frames, \channels, \sample_rate, \seconds, \seed, \steps, \model].do { |name| fields[name] !? { |value| shared[name] = value } };
		shared[\notes] = [];
		^shared
	}
}
