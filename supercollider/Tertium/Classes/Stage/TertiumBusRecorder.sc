// Records a bus all the time, and can write down what it heard last. It keeps everything twice, a ring's length apart, so that whatever is asked for lies in one piece.
TertiumBusRecorder {
	classvar <>spare = 1.0;  // seconds between what is written down and what is being recorded meanwhile

	var <server, <bus, <channels, <seconds, buffer, <synth, began, writing;

	// seconds: the longest that can be asked for
	*new { |server, bus = 0, channels = 2, seconds = 8| ^super.newCopyArgs(server ? Server.default, bus, channels, seconds).init }

	init {
		writing = IdentityDictionary.new;
		CmdPeriod.add(this);
		ServerQuit.add(this, server)
	}

	isPlaying { ^synth.notNil }

	// How long it has been recording, in seconds.
	heard { ^if(synth.isNil) { 0 } { Main.elapsedTime - began } }

	*synthDef { |channels|
		^SynthDef(this.defName(channels), {
			var buffer = \buffer.ir(0), frames = BufFrames.ir(buffer) / 2, take = \take.tr(0);
			var place = Phasor.ar(0, 1, 0, frames), sound = In.ar(\in.kr(0), channels);
			BufWr.ar(sound, buffer, place);
			BufWr.ar(sound, buffer, place + frames);
			SendReply.kr(take, '/tertium/ring', [A2K.kr(place), Sweep.kr(0, 1), SampleRate.ir], take)
		})
	}

	*defName { |channels| ^"tertium_ring_%".format(channels).asSymbol }

	// Begins to listen, after all that plays in the target.
	play { |target|
		var definition;
		if(synth.notNil) { ^this };
		definition = this.class.synthDef(channels);
		buffer = buffer ?? { this.prBuffer };
		began = Main.elapsedTime;
		synth = Synth.basicNew(definition.name, server);
		server.sendMsg(*buffer.allocMsg(["/d_recv", definition.asBytes, synth.newMsg(target ?? { server.defaultGroup },
			[\in, bus.asControlInput, \buffer, buffer.bufnum], \addToTail)]))
	}

	stop {
		synth !? { server.sendMsg(\n_free, synth.nodeID) };
		synth = nil;
		this.prAbandon
	}

	free {
		this.stop;
		buffer !? { buffer.free };
		buffer = nil;
		CmdPeriod.remove(this);
		ServerQuit.remove(this, server)
	}

	// Writes the seconds before this moment into a file: `action.(path, error)`, once. In a bundle, the moment is the bundle's.
	write { |path, length, action|
		var task = TertiumBusRecording(this, buffer, path, length, action);
		if(synth.isNil) { task.fail("nothing is being recorded", "Let it play first."); ^task };
		if(length > seconds) { task.fail("% s are asked for, and it keeps %".format(length, seconds), "Make it longer."); ^task };
		if(this.heard + (server.latency ? 0) < length) { task.tooEarly(this.heard); ^task };
		writing[task.id] = task;
		server.sendMsg(\n_set, synth.nodeID, \take, task.id);
		^task
	}

	prDone { |task| writing.removeAt(task.id) }

	prBuffer { ^Buffer(server, ((seconds + spare) * (server.sampleRate ? 44100)).ceil.asInteger * 2, channels) }

	prAbandon { writing.values.do { |task| task.fail("the recording was stopped", "Let it play.") } }

	// The sound stops, and so does the recording; the buffer stays.
	cmdPeriod { this.stop }

	doOnServerQuit {
		synth = buffer = nil;
		this.prAbandon
	}
}
