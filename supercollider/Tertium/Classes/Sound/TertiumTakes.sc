// The takes of a TertiumMorph: buffers of one length on a server. It frees the buffers that it made, and no others.
TertiumTakes {
	var <server, <sources, <buffers, owned, files, <state = \empty, action, responders, arrived, limit;

	// sources: one or an array of Buffers, paths, or objects that have a path, such as a TertiumSound
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

	// check the files, then have the server read them: action.(takes, error), once
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

	// free the buffers. If they are still loading, the action gets an error with the code superseded
	free {
		if(state == \freed) { ^this };
		if(state == \loading) { this.prEnd(TertiumError(\superseded, "Other takes were given before these were loaded.")) } { this.prFree };
		state = \freed
	}

	// forget the buffers: their server has quit
	drop {
		TertiumReceiver.remove(this);
		responders.do(_.free);
		owned = nil;
		state = \freed
	}

	// the fault of the sources; nil if there is none, and then files has the header or Buffer of each. Nothing is thrown here: sclang 3.13 loses its place where
	// an error is caught that was thrown in the middle of an expression
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

	// the header of a file. It is read before the server reads the file, since a server does not report a file that it cannot read
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

	// send the SynthDef and have the files read; /synced comes when all of that is done or has failed
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

	// send a SynthDef. One that is too large for a datagram goes through a file, in a folder that the Quark itself makes
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
				"See whether it is complete, and whether the server may read it.")
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
