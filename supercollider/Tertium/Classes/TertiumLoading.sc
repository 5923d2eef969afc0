// A file on its way into a Buffer. Buffer.read never says when it fails; this does, and survives Cmd-Period.
TertiumLoading {
	classvar <>limit = 20;
	var path, buffer, action, id, began, <ended, responders;

	// action.(buffer), or action.(nil, TertiumError), once. A buffer that was asked for before need only be waited for
	*new { |path, buffer, isNew, action| ^super.newCopyArgs(path, buffer, action).start(isNew) }

	// whether a Buffer still is what its server holds under its number: not freed, and the server not booted anew
	*holds { |buffer| ^buffer.bufnum.notNil and: { Buffer.cachedBufferAt(buffer.server, buffer.bufnum) === buffer } }

	*notRunning { |server| ^TertiumError(\server, "The server “%” does not run.".format(server.name), nil, nil, "Boot it first.") }

	start { |isNew|
		var server = buffer.server;
		began = Main.elapsedTime;
		if(server.serverRunning.not) { ^this.finish(this.class.notRunning(server)) };
		id = TertiumAnswers.newId;
		TertiumAnswers.add(id, this);
		// b_query is answered after whatever was asked of the server before has been done
		responders = [
			OSCFunc({ |message| this.compare(message[2]) }, '/b_info', server.addr, argTemplate: [buffer.bufnum]),
			OSCFunc({ |message| this.refuse("could not be read: %".format(message[2])) }, '/fail', server.addr, argTemplate: ['/b_allocRead'])
		].do(_.permanent_(true));
		if(isNew) { server.sendMsg(*buffer.allocReadMsg(path, 0, -1, ["/b_query", buffer.bufnum])) } { server.sendMsg("/sync", 0); server.sendMsg("/b_query", buffer.bufnum) }
	}

	compare { |frames|
		if(frames.asInteger == buffer.numFrames) { this.finish } { this.refuse("was read as % frames instead of %".format(frames, buffer.numFrames)) }
	}

	refuse { |problem| this.finish(TertiumError(\server, "% %.".format(path, problem), nil, nil, "Look at the server's post window.")) }

	tick { |now| if(now - began > limit) { this.refuse("was not loaded within % s".format(limit)) } }

	isDone { ^ended.notNil }

	hear {}

	forget {}

	finish { |error|
		if(this.isDone) { ^this };
		ended = Main.elapsedTime;
		responders.do(_.free);
		id !? { TertiumAnswers.remove(id) };
		TertiumAnswers.guarded { action.value(if(error.isNil) { buffer } { nil }, error) }
	}
}
