// The results of commands: the objects that the fields of an answer describe.
TertiumResult {
	// the result of a job: a TertiumSound; of a morph, an Array of them, the reference's end first; of a window, a TertiumWindow
	*done { |command, fields, takes|
		^switch(command,
			\morph, { this.morph(fields, takes) },
			\window, { TertiumWindow(fields) },
			{ TertiumSound.fromFields(fields) }
		)
	}

	// the result of an immediate command: a TertiumSound if the reply describes one, else an Event
	*reply { |command, fields| ^if(TertiumCommandTable.soundReplies.includes(command)) { TertiumSound.fromFields(fields) } { fields } }

	// an element of a list
	*item { |command, fields| ^if(TertiumCommandTable.soundItems.includes(command)) { TertiumSound.fromFields(fields) } { fields } }

	// the takes of a morph. Those whose announcement was lost are made from the list of all takes in done
	*morph { |fields, takes|
		^(fields[\takes] ? []).collect { |take|
			var announced = takes[take[\index]];
			if(announced.notNil and: { announced.path == take[\path] }) { announced } {
				TertiumSound.fromFields(this.shared(fields).putAll(take))
			}
		}
	}

	// the fields that all takes of a morph have in common
	*shared { |fields|
		var shared = Event.new;
		TertiumCommandTable.sharedByTakes.do { |name| fields[name] !? { |value| shared[name] = value } };
		shared[\notes] = [];
		^shared
	}
}
