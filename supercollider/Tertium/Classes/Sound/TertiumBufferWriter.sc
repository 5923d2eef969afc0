// A Buffer on its way into a file: written by the server, never through the language, into a folder below the user's home, where daemons may read.
TertiumBufferWriter {
	classvar >folder;
	var <buffer, <path, action, synced;

	// action.(nil) once it is written and checked, or action.(TertiumError)
	*new { |buffer, path, action| ^super.newCopyArgs(buffer, path, action).start }

	*newPath { ^this.folder +/+ "%.wav".format(TertiumReceiver.newId) }

	*folder { ^folder ?? { Platform.userAppSupportDir +/+ "tertium" } }

	start {
		if(buffer.bufnum.isNil) { ^this.refuse("The buffer holds nothing; it was freed.", "Give one that holds a sound.") };
		if(buffer.server.serverRunning.not) {
			^this.refuse("The server “%” does not run, so its buffer cannot be written.".format(buffer.server.name), "Boot it first.")
		};
		File.mkdir(path.dirname);
		if(buffer.numFrames.isNil) { buffer.updateInfo { this.send } } { this.send }
	}

	// a server answers /sync when it has done what was asked before. /done and /fail tell neither whose buffer nor which file they mean
	send {
		var id = UniqueID.next;
		if(action.isNil) { ^this };
		synced = OSCFunc({ this.check }, '/synced', buffer.server.addr, argTemplate: [id]).permanent_(true);
		buffer.server.sendMsg(*buffer.writeMsg(path, "wav", "float"));
		buffer.server.sendMsg("/sync", id)
	}

	check {
		var fault = TertiumSound(path, buffer.numFrames, buffer.numChannels).fault;
		if(fault.notNil) { this.refuse("The server did not write the buffer whole: %".format(fault.message), "Look at its post window.") } { this.finish }
	}

	refuse { |message, remedy| this.finish(TertiumError(\server, message, nil, nil, remedy)) }

	finish { |error|
		var told = action;
		this.stop;
		told.value(error)
	}

	// wait no more
	stop {
		synced !? _.free;
		synced = nil;
		action = nil
	}
}
