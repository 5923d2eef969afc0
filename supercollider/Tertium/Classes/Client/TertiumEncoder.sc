// The encoder of a request: it turns the given values into fields that OSC can carry. One field follows the other, since a Buffer must first be written to a
// file, and a job may not have its id yet.
TertiumEncoder {
	var client, command, pairs, onReady, onError, resolved, index = 0, writer, <temporary, stopped = false;

	// onReady.([name, value, …]) or onError.(TertiumError), once; immediately if there is nothing to wait for
	*new { |client, command, pairs, onReady, onError|
		^super.newCopyArgs(client, command, pairs, onReady, onError).init
	}

	init {
		resolved = List.new;
		temporary = List.new;
	}

	start { this.next }

	next {
		var name, value;
		while { index < pairs.size and: { pairs[index + 1].isNil } } { index = index + 2 };
		if(index >= pairs.size) { ^this.ready };
		name = pairs[index];
		value = pairs[index + 1];
		index = index + 2;
		this.resolve(name, value)
	}

	ready {
		var checked = TertiumFields.checked(resolved);
		case
		{ stopped } {}
		{ checked.isKindOf(TertiumError) } { this.fail(checked) }
		{ onReady.value(checked) }
	}

	fail { |error| if(stopped.not) { this.stop; onError.value(error) } }

	stop {
		stopped = true;
		writer !? _.stop;
	}

	keep { |name, value|
		if(value.isKindOf(TertiumError)) { ^this.fail(value) };
		resolved.add(name).add(value);
		if(stopped.not) { this.next }
	}

	resolve { |name, value|
		switch(TertiumCommandTable.kind(command, name),
			\sound, { if(value.isKindOf(Buffer)) { this.write(name, value) } { this.keep(name, this.found(name, value, this.class.sound(name, value))) } },
			\path, { this.keep(name, this.class.path(value)) },
			\job, { if(value.isKindOf(TertiumRequest)) { this.await(name, value) } { this.keep(name, value) } },
			{ this.keep(name, value) }
		)
	}

	// a sound as it is sent; a TertiumError if it is a file that does not exist
	found { |name, given, sound|
		if(sound.isNil or: { sound.isKindOf(TertiumError) } or: { given.isKindOf(Symbol) }) { ^sound };
		if(given.isKindOf(TertiumSound) and: { sound == given.id }) { ^sound };
		if(given.isString and: { this.class.isId(sound) }) { ^sound };
		if(File.exists(sound) and: { File.type(sound) != \directory }) { ^sound };
		^TertiumError(\unknown_sound, "There is no file %.".format(sound), name, sound,
			"Look at the path; relative ones begin at %. A checkpoint's name, or a sound's id, is given as a Symbol.".format(File.getcwd))
	}

	write { |name, buffer|
		var path = TertiumBufferWriter.newPath;
		temporary.add(path);
		writer = TertiumBufferWriter(buffer, path) { |error|
			if(error.isNil) { this.keep(name, path) } {
				this.fail(TertiumError(error.code, error.message, name, nil, error.remedy))
			}
		}
	}

	await { |name, request|
		request.whenAccepted { |job|
			if(job.notNil) { this.keep(name, job) } {
				this.fail(TertiumError(\unknown_job, "This % was never accepted, so it has no job.".format(request.command), name, nil, "Send it again."))
			}
		}
	}

	// the fields as they would be sent, immediately and without writing anything; for a Buffer, the path that it would be written to
	*message { |command, pairs|
		var checked = TertiumFields.checked(pairs.collect { |item, index| if(index.even) { item } { this.now(command, pairs[index - 1], item) } });
		if(checked.isKindOf(TertiumError)) { checked.throw };
		^checked
	}

	*now { |command, name, value|
		^switch(TertiumCommandTable.kind(command, name),
			\sound, { if(value.isKindOf(Buffer)) { TertiumBufferWriter.newPath } { this.sound(name, value) } },
			\path, { this.path(value) },
			\job, { if(value.isKindOf(TertiumRequest)) { value.job } { value } },
			{ value }
		)
	}

	// a sound in the daemon's terms: a path, an id or a checkpoint's name; a TertiumError if the value is no sound
	*sound { |name, value|
		^case
		{ value.isNil or: { value.isKindOf(Symbol) } } { value }
		{ value.isKindOf(SoundFile) } { this.path(value.path) }
		{ value.isKindOf(TertiumSound) } { this.known(value) }
		{ value.isString and: { this.isId(value) } } { value }
		{ value.isString or: { value.isKindOf(PathName) } } { this.path(value) }
		{
			TertiumError(\bad_type, "% cannot be a %.".format(name, value.class.name), name, nil,
				"Give it a path, a SoundFile, a Buffer, a TertiumSound, or a Symbol: a checkpoint's name or a sound's id.")
		}
	}

	*known { |sound| ^if(File.exists(sound.path)) { sound.path } { sound.id ? sound.path } }

	// whether a text is the id of a sound, or the beginning of one
	*isId { |text| ^"^[0-9a-f]{8,64}$".matchRegexp(text) and: { File.exists(text.absolutePath).not } }

	*path { |value|
		^case
		{ value.isKindOf(PathName) } { value.fullPath.absolutePath }
		{ value.isString and: { value.size > 0 } } { value.absolutePath }
		{ value }
	}
}
