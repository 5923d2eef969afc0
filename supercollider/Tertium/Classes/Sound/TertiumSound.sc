// A sound that the daemon made or knows: its file, the length that it must have, the fields to make it again. The file is checked before it is loaded.
TertiumSound {
	classvar definitions;
	var <path, <frames, <channels, <sampleRate, <fields, buffers, users;  // users: server to the number of Synths that play a Buffer which play alone has made

	*initClass { definitions = IdentityDictionary.new }

	*new { |path, frames, channels, sampleRate, fields|
		^super.newCopyArgs(path, frames, channels, sampleRate, fields ?? { Event.new }, IdentityDictionary.new, IdentityDictionary.new)
	}

	*fromFields { |fields| ^this.new(fields[\path], fields[\frames], fields[\channels], fields[\sample_rate], fields) }

	// in seconds
	duration { ^if(frames.notNil and: { sampleRate.notNil }) { frames / sampleRate } { fields[\seconds] } }

	// the SHA-256 of the samples, which is the daemon's id of the sound
	id { ^fields[\sound] }

	seed { ^fields[\seed] }

	// of a take: 0 is the reference, 1 the original
	blend { ^fields[\blend] }

	// the step at which the original entered
	intervention { ^fields[\intervention] }

	// sentences on what was converted or limited
	notes { ^fields[\notes] ? [] }

	// the path of the JSON file with all that is needed to make the sound again
	recallPath {
		var beside;
		if(fields[\recall].notNil) { ^fields[\recall] };
		beside = path.splitext[0] ++ ".json";
		^if(File.exists(beside)) { beside } { nil }
	}

	// the command and the fields in that file; nil if there is none
	recall {
		var where = this.recallPath, read;
		if(where.isNil or: { File.exists(where).not }) { ^nil };
		read = TertiumJson.tryParse(File.readAllString(where));
		^if(read.isKindOf(Event)) { read[\recall] } { nil }
	}

	// ---- checking

	// whether the file exists and has the right length
	check { ^this.fault.isNil }

	// the fault of the file, a TertiumError; nil if there is none
	fault {
		var file, problem;
		if(path.isNil or: { File.exists(path).not }) { ^this.refusal("There is no file %.".format(path)) };
		file = SoundFile.new;
		if(file.openRead(path).not) { ^this.refusal("% is no sound file that can be read.".format(path)) };
		problem = [[\frames, frames, file.numFrames], [\channels, channels, file.numChannels], [\sample_rate, sampleRate, file.sampleRate]]
		.detect { |triple| triple[1].notNil and: { triple[1].asInteger != triple[2].asInteger } };
		file.close;
		if(problem.isNil) {
			frames = frames ? file.numFrames;
			channels = channels ? file.numChannels;
			sampleRate = sampleRate ? file.sampleRate;
			^nil
		};
		^this.refusal("% has % %; it should have %.".format(path, problem[2].asInteger, problem[0].asString.tr($_, $ ), problem[1]))
	}

	refusal { |message| ^TertiumError(\bad_result, message, \path, path, "Make the sound again, or restore the file.") }

	// ---- on a server

	// the Buffer on a server; nil if the sound is not loaded there
	buffer { |server|
		var buffer = buffers[server ?? { Server.default }];
		^if(buffer.notNil and: { TertiumBufferLoader.holds(buffer) }) { buffer } { nil }
	}

	// check the file, then have the server read it into a Buffer; action.(buffer, this), with nil for the buffer on failure
	load { |server, action|
		var loaded, problem = this.fault;
		server = server ?? { Server.default };
		if(problem.isNil and: { server.serverRunning.not }) { problem = TertiumBufferLoader.notRunning(server) };
		if(problem.notNil) { problem.post; ^action.value(nil, this) };
		loaded = this.buffer(server);
		users.removeAt(server);  // from now on the Buffer stays
		TertiumBufferLoader(path, loaded ?? { this.newBuffer(server) }, loaded.isNil) { |buffer, error|
			error !? { error.post; buffers.removeAt(server) !? { |failed| if(TertiumBufferLoader.holds(failed)) { failed.free } } };
			action.value(buffer, this)
		}
	}

	// play the sound once or in a loop, never louder than the file. Returns a Synth that frees itself at the end, or after a short fade when it is released;
	// nil, and an error in the post window, if the file has a fault
	play { |server, out = 0, amp = 1, loop = false, rate = 1, target, addAction = \addToHead|
		var synth, problem = this.fault, message, loaded;
		server = server ?? { Server.default };
		problem = problem ?? { if(server.serverRunning.not) { TertiumBufferLoader.notRunning(server) } };
		if(problem.notNil) { problem.post; ^nil };
		loaded = this.buffer(server);
		if(loaded.isNil) { users[server] = 0 };
		synth = Synth.basicNew(this.class.definitionName(channels), server);
		message = synth.newMsg(target ? server, [
			bufnum: (loaded ?? { this.newBuffer(server) }).bufnum, out: out, amp: amp, loop: loop.asInteger, rate: rate
		], addAction);
		if(loaded.isNil) { message = this.loadMsg(this.buffer(server), message) };
		if(users[server].notNil) { this.prAddUser(this.buffer(server), synth.nodeID) };
		server.sendMsg("/d_recv", this.class.definition(channels).asBytes, message);
		^synth
	}

	// count the Synths of a Buffer that play alone has made: the last one frees it, since on stage a sound is played each bar, and a server has a thousand Buffers
	prAddUser { |buffer, nodeID|
		var server = buffer.server;
		users[server] = users[server] + 1;
		OSCFunc({ this.prRemoveUser(buffer) }, '/n_end', server.addr, argTemplate: [nodeID]).oneShot.permanent_(true)
	}

	prRemoveUser { |buffer|
		var server = buffer.server;
		if(users[server].isNil or: { buffers[server] !== buffer }) { ^this };
		users[server] = users[server] - 1;
		if(users[server] == 0) {
			users.removeAt(server);
			buffers.removeAt(server);
			if(TertiumBufferLoader.holds(buffer)) { buffer.free }
		}
	}

	// the message that has a server read the file into a buffer and then carry out another message
	loadMsg { |buffer, completion| ^buffer.allocReadMsg(path, 0, -1, completion) }

	newBuffer { |server|
		var buffer = Buffer(server, frames, channels).cache;
		buffer.sampleRate = sampleRate;
		buffer.path = path;
		buffers[server] = buffer;
		^buffer
	}

	// free the Buffers; the file stays
	free {
		buffers.keysValuesDo { |server, buffer| if(TertiumBufferLoader.holds(buffer)) { buffer.free } };
		buffers.clear;
		users.clear
	}

	*definitionName { |channels| ^("tertium_play_" ++ channels).asSymbol }

	// the SynthDef that plays sounds with this number of channels, sample by sample if the server runs at their rate
	*definition { |channels|
		var definition = definitions[channels] ?? {
			SynthDef(this.definitionName(channels), { |out = 0, bufnum = 0, amp = 1, loop = 0, rate = 1, gate = 1|
				var level = amp.lag(0.02).clip(0, 1) * EnvGen.kr(Env.cutoff(0.02), gate, doneAction: 2);
				Out.ar(out, level * PlayBuf.ar(channels, bufnum, BufRateScale.kr(bufnum) * rate, loop: loop, doneAction: 2))
			})
		};
		definitions[channels] = definition;
		^definition
	}

	printOn { |stream| stream << this.class.name << "(" << path << ", " << (this.duration !? _.round(0.01) ? "?") << " s)" }
}
