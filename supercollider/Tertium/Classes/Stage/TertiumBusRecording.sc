// One piece of a ring on its way to a file: the ring says where it is, the server writes, the header is checked.
TertiumBusRecording {
	classvar <>limit = 10, last = 0;

	var ring, buffer, path, length, action, <id, began, responders, frames, <isDone = false;

	*new { |ring, buffer, path, length, action| ^super.newCopyArgs(ring, buffer, path, length, action).init }

	init {
		var addr = ring.server.addr;
		id = last = last % 0xffff + 1;  // whole in a float, as triggers are
		began = Main.elapsedTime;
		responders = [OSCFunc({ |message| this.prWrite(*message[3..]) }, '/tertium/ring', addr, argTemplate: [nil, id]).permanent_(true)];
		TertiumReceiver.add(this, this);
		^this
	}

	fail { |what, remedy| this.prEnd(TertiumError(\server, "% could not be written: %.".format(path, what), nil, nil, remedy)) }

	tooEarly { |heard| this.fail("only % s were recorded so far".format(heard.round(0.01)), "Wait until there is more.") }

	tick { |now| if(now - began > limit) { this.fail("the server % did not do it in % s".format(ring.server.name, limit), "See whether it runs.") } }

	hear {}

	// place: where the ring is recording, in frames; heard: how long it has been
	prWrite { |place, heard, sampleRate|
		var size = buffer.numFrames div: 2, server = ring.server, done = UniqueID.next;
		frames = (length * sampleRate).round.asInteger;
		if(heard < length) { ^this.tooEarly(heard) };
		try { File.mkdir(path.dirname) };  // where that cannot be, nothing is written, and the check says so
		responders = responders.add(OSCFunc({ this.prCheck }, '/synced', server.addr, argTemplate: [done]).permanent_(true));
		server.sendMsg('/b_write', buffer.bufnum, path, "wav", "float", frames, place.asInteger + size - frames, 0);
		server.sendMsg('/sync', done)
	}

	prCheck {
		var fault = TertiumSound(path, frames, buffer.numChannels).fault;
		if(fault.isNil) { this.prEnd } { this.fail(fault.message, "See that there is room, and that the server may write there.") }
	}

	prEnd { |error|
		if(isDone) { ^this };
		isDone = true;
		responders.do(_.free);
		TertiumReceiver.remove(this);
		ring.prDone(this);
		TertiumReceiver.guarded { action.(if(error.isNil) { path }, error) }
	}
}
