// Takes of one length, in buffers of a server: what a TertiumMorph plays. It frees the buffers that it made, and no others.
TertiumTakes {
	var <server, <sources, <buffers, owned, files, <state = \empty, action, responders, arrived, limit;

	// sources: one or an array of Buffers, paths, or whatever has a path, such as a TertiumSound.
	*new { |sources, server|
		^super.newCopyArgs(server ? Server.default, if(sources.isKindOf(String)) { [sources] } { sources.asArray })
	}

	size { ^sources.size }
	channels { ^buffers.first.numChannels }
	frames { ^buffers.first.numFrames }
	sampleRate { ^buffers.first.sampleRate ? server.sampleRate ? 44100 }
	duration { ^this.frames / this.sampleRate }
	bufnums { ^buffers.collect(_.bufnum) }
	isLoaded { ^state == \loaded }

	// Checks the files, then has the server read them: `action.(takes, error)`, once.
	load { |seamed = false, action, timeout = 30| this.prLoad(seamed, action, timeout) }

	prLoad { |seamed, argAction, timeout|
		var problem;
		action = argAction;
		state = \loading;
		problem = this.prProblem;
		if(problem.notNil) { ^this.prEnd(problem) };
		owned = List.new;
		buffers = files.collect { |file| if(file.isKindOf(Buffer)) { file } { this.prOwn(file) } };
		this.prRead(seamed, timeout)
	}

	// While it loads, this ends the loading: the action gets an error, `superseded`.
	free {
		if(state == \freed) { ^this };
		if(state == \loading) { this.prEnd(TertiumError(\superseded, "Others came before these takes were loaded.")) } { this.prFree };
		state = \freed
	}

	// The server is gone, and the buffers with it.
	drop {
		TertiumReceiver.remove(this);
		responders.do(_.free);
		owned = nil;
		state = \freed
	}

	// What is wrong with the sources; nil when all is well, and then files has what is known of each. Nothing is thrown here: sclang 3.13 loses its place where an
	// error is caught that was thrown in the middle of an expression.
	prProblem {
		var problem = TertiumMorph.countProblem(sources.size);
		if(problem.notNil) { ^problem };
		files = sources.collect { |source| if(source.isKindOf(Buffer)) { source } { this.prHeader(source) } };
		files.do { |file, index| if(file.isNil) { problem = problem ?? { this.prUnreadable(this.prPath(sources[index])) } } };
		^problem ?? { this.prBufferProblem } ?? { this.prUnlike }
	}

	prBufferProblem {
		files.do { |file|
			if(file.isKindOf(Buffer)) {
				if(file.bufnum.isNil) { ^TertiumError(\bad_sound, "A Buffer among these takes was freed.", \takes, nil, "Give Buffers that hold a sound.") };
				if(file.numFrames.isNil) { ^TertiumError(\bad_sound, "A Buffer among these takes has not been read yet.", \takes, nil, "Wait for it: s.sync.") }
			}
		};
		^nil
	}

	prPath { |source|
		var path = case
		{ source.isKindOf(PathName) } { source.fullPath }
		{ source.respondsTo(\path) } { source.path }
		{ source };
		^path.asString.absolutePath  // the server may have another working directory
	}

	// The header of a file, read before the server is asked to read it: that says nothing of a file that it cannot read.
	prHeader { |source|
		var file = SoundFile.openRead(this.prPath(source));
		file !? _.close;
		^file
	}

	prUnreadable { |path|
		^TertiumError(\bad_sound, "There is no sound in %.".format(path.quote), \takes, path, "Name a WAV, AIFF or FLAC file that exists.")
	}

	prUnlike {
		[\numChannels, \numFrames].do { |fact|
			var found = files.collect(_.perform(fact)).asSet.asArray.sort;
			if(found.size > 1) {
				^TertiumError(\bad_sound, "The takes of a morph are alike in length and channels; these have % %.".format(
					found.join(" and "), if(fact == \numFrames) { "frames" } { "channels" }), \takes, nil, "Take them from one morph.")
			}
		};
		^nil
	}

	prOwn { |file|
		var buffer = Buffer(server, file.numFrames, file.numChannels);
		buffer.sampleRate = file.sampleRate;
		buffer.path = file.path;
		owned.add(buffer);
		^buffer
	}

	// The synth of these takes, the files, and then a word when all that is done, or was tried.
	prRead { |seamed, timeout|
		var id = UniqueID.next;
		arrived = IdentitySet.new;
		responders = [
			OSCFunc({ |message| this.prArrived(*message[1..]) }, '/b_info', server.addr).permanent_(true),
			OSCFunc({ this.prEnd(this.prMissing) }, '/synced', server.addr, argTemplate: [id]).permanent_(true)
		];
		this.prSendDefinition(TertiumMorph.synthDef(this.size, this.channels, seamed));
		owned.do { |buffer| server.sendMsg('/b_allocRead', buffer.bufnum, buffer.path, 0, 0, ['/b_query', buffer.bufnum]) };
		server.sendMsg('/sync', id);
		limit = Main.elapsedTime + timeout;
		TertiumReceiver.add(this, this)
	}

	// One that is too large for a datagram goes by a file, in a folder that is sure to be there.
	prSendDefinition { |definition|
		var bytes = definition.asBytes, folder = TertiumBufferWriter.folder;
		if(bytes.size < 16000) { ^server.sendMsg("/d_recv", bytes) };
		try { File.mkdir(folder) };
		definition.writeDefFile(folder, true);
		server.sendMsg("/d_load", folder +/+ definition.name ++ ".scsyndef")
	}

	tick { |now|
		if(now > limit) {
			this.prEnd(TertiumError(\server, "The server % did not load the takes in time.".format(server.name), nil, nil, "See whether it runs."))
		}
	}

	isDone { ^state != \loading }

	hear {}

	prArrived { |bufnum, frames, channels, sampleRate|
		owned.detect { |buffer| buffer.bufnum == bufnum and: { buffer.numFrames == frames } and: { buffer.numChannels == channels } } !? { |buffer|
			buffer.sampleRate = sampleRate;
			arrived.add(buffer)
		}
	}

	prMissing {
		var missing = owned.reject { |buffer| arrived.includes(buffer) };
		^missing.first !? { |buffer|
			TertiumError(\bad_sound, "The server % could not read all of %.".format(server.name, buffer.path.quote), \takes, buffer.path,
				"See that it is complete, and that the server may read it.")
		}
	}

	prEnd { |error|
		responders.do(_.free);
		responders = nil;
		TertiumReceiver.remove(this);
		state = if(error.isNil) { \loaded } { \failed };
		if(error.notNil) { this.prFree };
		action.(this, error);
		action = nil
	}

	prFree {
		owned.do(_.free);
		owned = nil
	}
}
