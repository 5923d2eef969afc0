// A sound that the daemon made or knows: where its file is, how long it must be, how to make it again. Checked before it is loaded.
TertiumSound {
	classvar definitions;
	var <path, <frames, <channels, <sampleRate, <fields, buffers, passing;  // passing: how many play a Buffer that only playing has made, by server

	*initClass { definitions = IdentityDictionary.new }

	*new { |path, frames, channels, sampleRate, fields|
		^super.newCopyArgs(path, frames, channels, sampleRate, fields ?? { Event.new }, IdentityDictionary.new, IdentityDictionary.new)
	}

	*fromFields { |fields| ^this.new(fields[\path], fields[\frames], fields[\channels], fields[\sample_rate], fields) }

	// in seconds
	duration { ^if(frames.notNil and: { sampleRate.notNil }) { frames / sampleRate } { fields[\seconds] } }

	// SHA-256 of its samples, by which the daemon knows it
	id { ^fields[\sound] }

	seed { ^fields[\seed] }

	// 0 is the reference, 1 the original: of a take
	blend { ^fields[\blend] }

	// step at which the original entered
	intervention { ^fields[\intervention] }

	// sentences: what was converted or limited
	notes { ^fields[\notes] ? [] }

	// path of the JSON file with all that is needed to make it again
	recallPath {
		var beside;
		if(fields[\recall].notNil) { ^fields[\recall] };
		beside = path.splitext[0] ++ ".json";
		^if(File.exists(beside)) { beside } { nil }
	}

	// what is in that file: the command and the fields that make it again; nil when there is none
	recall {
		var where = this.recallPath, read;
		if(where.isNil or: { File.exists(where).not }) { ^nil };
		read = TertiumJson.tryParse(File.readAllString(where));
		^if(read.isKindOf(Event)) { read[\recall] } { nil }
	}

	// ---- checking

	// whether the file is there, and as long as it should be
	check { ^this.fault.isNil }

	// what is wrong with the file, a TertiumError; nil when all is well
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

	// its Buffer on a server; nil when it is not loaded there
	buffer { |server|
		var buffer = buffers[server ?? { Server.default }];
		^if(buffer.notNil and: { TertiumBufferLoader.holds(buffer) }) { buffer } { nil }
	}

	// check it, then have the server read it into a Buffer; action.(buffer, this), with nil when it cannot be
	load { |server, action|
		var loaded, problem = this.fault;
		server = server ?? { Server.default };
		if(problem.isNil and: { server.serverRunning.not }) { problem = TertiumBufferLoader.notRunning(server) };
		if(problem.notNil) { problem.post; ^action.value(nil, this) };
		loaded = this.buffer(server);
		passing.removeAt(server);  // from now on it stays
		TertiumBufferLoader(path, loaded ?? { this.newBuffer(server) }, loaded.isNil) { |buffer, error|
			error !? { error.post; buffers.removeAt(server) !? { |failed| if(TertiumBufferLoader.holds(failed)) { failed.free } } };
			action.value(buffer, this)
		}
	}

	// play it once, or over and over; gives a Synth that frees itself at the end, or after a short fade when it is released. Never louder than the file.
	// nil, and an error in the post window, when the file is not what it should be
	play { |server, out = 0, amp = 1, loop = false, rate = 1, target, addAction = \addToHead|
		var synth, problem = this.fault, message, loaded;
		server = server ?? { Server.default };
		problem = problem ?? { if(server.serverRunning.not) { TertiumBufferLoader.notRunning(server) } };
		if(problem.notNil) { problem.post; ^nil };
		loaded = this.buffer(server);
		if(loaded.isNil) { passing[server] = 0 };
		synth = Synth.basicNew(this.class.definitionName(channels), server);
		message = synth.newMsg(target ? server, [
			bufnum: (loaded ?? { this.newBuffer(server) }).bufnum, out: out, amp: amp, loop: loop.asInteger, rate: rate
		], addAction);
		if(loaded.isNil) { message = this.loadMsg(this.buffer(server), message) };
		if(passing[server].notNil) { this.prLend(this.buffer(server), synth.nodeID) };
		server.sendMsg("/d_recv", this.class.definition(channels).asBytes, message);
		^synth
	}

	// a Buffer that only playing has made goes with the last Synth that plays it: on stage a sound is played each bar, and a server has a thousand Buffers
	prLend { |buffer, nodeID|
		var server = buffer.server;
		passing[server] = passing[server] + 1;
		OSCFunc({ this.prTakeBack(buffer) }, '/n_end', server.addr, argTemplate: [nodeID]).oneShot.permanent_(true)
	}

	prTakeBack { |buffer|
		var server = buffer.server;
		if(passing[server].isNil or: { buffers[server] !== buffer }) { ^this };
		passing[server] = passing[server] - 1;
		if(passing[server] == 0) {
			passing.removeAt(server);
			buffers.removeAt(server);
			if(TertiumBufferLoader.holds(buffer)) { buffer.free }
		}
	}

	// what has a server read the file into a buffer, and then carry out another message
	loadMsg { |buffer, completion| ^buffer.allocReadMsg(path, 0, -1, completion) }

	newBuffer { |server|
		var buffer = Buffer(server, frames, channels).cache;
		buffer.sampleRate = sampleRate;
		buffer.path = path;
		buffers[server] = buffer;
		^buffer
	}

	// free what is loaded of it; the file stays
	free {
		buffers.keysValuesDo { |server, buffer| if(TertiumBufferLoader.holds(buffer)) { buffer.free } };
		buffers.clear;
		passing.clear
	}

	*definitionName { |channels| ^("tertium_play_" ++ channels).asSymbol }

	// the SynthDef that plays sounds of so many channels: as they are in the file, where the server runs at their rate
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
