// A writer of a Buffer to a file. The server writes, so that no samples pass through the language; the folder is below the user's home, where daemons may read.
TertiumBufferWriter {
	classvar >folder;
	var <buffer, <path, action, synced;

	// action.(nil) once the file is written and checked, or action.(TertiumError)
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

	// a server answers /sync when all earlier messages are done. /done and /fail name neither the buffer's client nor the file
	send {
		var id = UniqueID.next;
		if(action.isNil) { ^this };
		synced = OSCFunc({ this.check }, '/synced', buffer.server.addr, argTemplate: [id]).permanent_(true);
		buffer.server.sendMsg(*buffer.writeMsg(path, "wav", "float"));
		buffer.server.sendMsg("/sync", id)
	}

	check {
		var fault = TertiumSound(path, buffer.numFrames, buffer.numChannels).fault;
		if(fault.notNil) { this.refuse("The server did not write the whole buffer: %".format(fault.message), "Look at its post window.") } { this.finish }
	}

	refuse { |message, remedy| this.finish(TertiumError(\server, message, nil, nil, remedy)) }

	finish { |error|
		var function = action;
		this.stop;
		function.value(error)
	}

	// stop waiting for the server
	stop {
		synced !? _.free;
		synced = nil;
		action = nil
	}
}
