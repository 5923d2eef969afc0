// A recording from a TertiumBusRecorder: the synth reports its place in the ring, the server writes the part before it to a file, the file's header is checked.
TertiumBusRecording {
	classvar <>limit = 10, last = 0;

	var recorder, buffer, path, length, action, <id, began, responders, frames, <isDone = false;

	*new { |recorder, buffer, path, length, action| ^super.newCopyArgs(recorder, buffer, path, length, action).init }

	init {
		var addr = recorder.server.addr;
		id = last = last % 0xffff + 1;  // exact as a float, since it travels as a trigger's value
		began = Main.elapsedTime;
		responders = [OSCFunc({ |message| this.prWrite(*message[3..]) }, '/tertium/ring', addr, argTemplate: [nil, id]).permanent_(true)];
		TertiumReceiver.add(this, this);
		^this
	}

	fail { |what, remedy| this.prEnd(TertiumError(\server, "% could not be written: %.".format(path, what), nil, nil, remedy)) }

	tooEarly { |heard| this.fail("only % s are recorded so far".format(heard.round(0.01)), "Wait until there is more.") }

	tick { |now| if(now - began > limit) { this.fail("the server % did not answer within % s".format(recorder.server.name, limit), "See whether it runs.") } }

	hear {}

	// place: where the synth records in the ring, in frames; heard: the seconds since it began
	prWrite { |place, heard, sampleRate|
		var size = buffer.numFrames div: 2, server = recorder.server, done = UniqueID.next;
		frames = (length * sampleRate).round.asInteger;
		if(heard < length) { ^this.tooEarly(heard) };
		try { File.mkdir(path.dirname) };  // if that fails, nothing is written, and the check reports it
		responders = responders.add(OSCFunc({ this.prCheck }, '/synced', server.addr, argTemplate: [done]).permanent_(true));
		server.sendMsg('/b_write', buffer.bufnum, path, "wav", "float", frames, place.asInteger + size - frames, 0);
		server.sendMsg('/sync', done)
	}

	prCheck {
		var fault = TertiumSound(path, frames, buffer.numChannels).fault;
		if(fault.isNil) { this.prEnd } { this.fail(fault.message, "See whether there is room, and whether the server may write there.") }
	}

	prEnd { |error|
		if(isDone) { ^this };
		isDone = true;
		responders.do(_.free);
		TertiumReceiver.remove(this);
		recorder.prDone(this);
		TertiumReceiver.guarded { action.(if(error.isNil) { path }, error) }
	}
}
