// A Buffer on its way into a file: written by the server, never through the language, into a folder below the user's home, where daemons may read.
TertiumWriting {
	classvar >folder;
	var <buffer, <path, action, responders;

	// action.(nil) once it is written and checked, or action.(TertiumError)
	*new { |buffer, path, action| ^super.newCopyArgs(buffer, path, action).start }

	*newPath { ^this.folder +/+ "%.wav".format(TertiumAnswers.newId) }

	*folder { ^folder ?? { Platform.userAppSupportDir +/+ "tertium" } }

	start {
		if(buffer.bufnum.isNil) { ^this.refuse("The buffer holds nothing; it was freed.", "Give one that holds a sound.") };
		if(buffer.server.serverRunning.not) {
			^this.refuse("The server “%” does not run, so its buffer cannot be written.".format(buffer.server.name), "Boot it first.")
		};
		File.mkdir(path.dirname);
		responders = [
			OSCFunc({ this.check }, '/done', buffer.server.addr, argTemplate: ['/b_write', buffer.bufnum]),
			OSCFunc({ |message| this.refuse("The server could not write the buffer: %".format(message[2]), "Look at its post window.") },
				'/fail', buffer.server.addr, argTemplate: ['/b_write'])
		].do(_.permanent_(true));
		if(buffer.numFrames.isNil) { buffer.updateInfo { this.send } } { this.send }
	}

	send { responders !? { buffer.server.sendMsg(*buffer.writeMsg(path, "wav", "float")) } }

	check {
		var fault = TertiumSound(path, buffer.numFrames, buffer.numChannels).fault;
		if(fault.notNil) { this.refuse("The server did not write the buffer whole.", fault.message) } { this.finish }
	}

	refuse { |message, remedy| this.finish(TertiumError(\server, message, nil, nil, remedy)) }

	finish { |error|
		var told = action;
		this.stop;
		told.value(error)
	}

	// wait no more
	stop {
		responders.do(_.free);
		responders = nil;
		action = nil;
	}
}
