// A recorder of a bus: it records all the time into a ring buffer, from which the last seconds can be written to a file. Each frame is kept twice, a ring's
// length apart, so that any part lies in one piece.
TertiumBusRecorder {
	classvar <>spare = 1.0;  // seconds that the ring is longer: the time that the server has to write a part before it is recorded over

	var <server, <bus, <channels, <seconds, buffer, <synth, began, recordings;

	// seconds: the longest part that can be written
	*new { |server, bus = 0, channels = 2, seconds = 8| ^super.newCopyArgs(server ? Server.default, bus, channels, seconds).init }

	init {
		recordings = IdentityDictionary.new;
		CmdPeriod.add(this);
		ServerQuit.add(this, server)
	}

	isPlaying { ^synth.notNil }

	// the seconds since the recorder began
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

	// begin to record, after all that plays in the target
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

	// write the seconds before this moment to a file: action.(path, error), once. In a bundle, the moment is the bundle's
	write { |path, length, action|
		var recording = TertiumBusRecording(this, buffer, path, length, action);
		if(synth.isNil) { recording.fail("nothing is being recorded", "Call play first."); ^recording };
		if(length > seconds) { recording.fail("% s are asked for, and the recorder keeps %".format(length, seconds), "Make a recorder with more seconds."); ^recording };
		if(this.heard + (server.latency ? 0) < length) { recording.tooEarly(this.heard); ^recording };
		recordings[recording.id] = recording;
		server.sendMsg(\n_set, synth.nodeID, \take, recording.id);
		^recording
	}

	prDone { |recording| recordings.removeAt(recording.id) }

	prBuffer { ^Buffer(server, ((seconds + spare) * (server.sampleRate ? 44100)).ceil.asInteger * 2, channels) }

	prAbandon { recordings.values.do { |recording| recording.fail("the recorder was stopped", "Call play again.") } }

	// stop recording; the buffer stays
	cmdPeriod { this.stop }

	doOnServerQuit {
		synth = buffer = nil;
		this.prAbandon
	}
}
