// Takes of one length, in buffers of a server: what a TertiumMorph plays. It frees the buffers that it made, and no others.
TertiumTakes {
	var <server, <sources, <buffers, owned, files, <state = \empty, action, responders, arrived;

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
	load { |seamed = false, argAction, timeout = 30|
		var problem;
		action = argAction;
		state = \loading;
		problem = try { this.prBuffers; nil } { |error| error };
		if(problem.notNil) { this.prEnd(problem) } { this.prRead(seamed, timeout) };
	}

	// While it loads, this ends the loading: the action gets an error, `superseded`.
	free {
		if(state == \freed) { ^this };
		if(state == \loading) { this.prEnd(TertiumError(\superseded, "Others came before these takes were loaded.")) } { this.prFree };
		state = \freed
	}

	// The server is gone, and the buffers with it.
	forget {
		responders.do(_.free);
		owned = nil;
		state = \freed
	}

	prBuffers {
		TertiumMorph.checkCount(sources.size);
		owned = List.new;
		files = sources.collect { |source| if(source.isKindOf(Buffer)) { source } { this.prHeader(source) } };
		this.prCheckAlike;
		buffers = files.collect { |file| if(file.isKindOf(Buffer)) { file } { this.prOwn(file) } }
	}

	// The header of a file, read before the server is asked to read it: that says nothing of a file that it cannot read.
	prHeader { |source|
		var path = if(source.respondsTo(\path)) { source.path } { source.asString }, file = SoundFile.openRead(path.asString.standardizePath);
		if(file.isNil) {
			TertiumError(\bad_sound, "There is no sound in %.".format(path.asString.quote), \takes, path, "Name a WAV, AIFF or FLAC file that exists.").throw
		};
		file.close;
		^file
	}

	prCheckAlike {
		[\numChannels, \numFrames].do { |fact|
			var found = files.collect(_.perform(fact)).asSet;
			if(found.size > 1) {
				TertiumError(\bad_sound, "The takes of a morph are alike in length and channels; these have % %.".format(
					found.asArray.sort.join(" and "), if(fact == \numFrames) { "frames" } { "channels" }), \takes, nil, "Take them from one morph.").throw
			}
		}
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
		TertiumMorph.synthDef(this.size, this.channels, seamed).doSend(server);
		owned.do { |buffer| server.sendMsg('/b_allocRead', buffer.bufnum, buffer.path, 0, 0, ['/b_query', buffer.bufnum]) };
		server.sendMsg('/sync', id);
		SystemClock.sched(timeout, {
			if(state == \loading) {
				this.prEnd(TertiumError(\server, "The server % did not load the takes in % s.".format(server.name, timeout), nil, nil, "See whether it runs."))
			};
			nil
		})
	}

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
