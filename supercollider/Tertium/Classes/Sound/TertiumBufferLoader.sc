// A loader of a file into a Buffer. Unlike Buffer.read it reports failures, and it survives Cmd-Period.
TertiumBufferLoader {
	classvar <>limit = 20;
	var path, buffer, action, id, began, <ended, responder;

	// action.(buffer) or action.(nil, TertiumError), once. isNew: whether the server must still be told to read the file
	*new { |path, buffer, isNew, action| ^super.newCopyArgs(path, buffer, action).start(isNew) }

	// whether a Buffer is still valid: not freed, and its server not restarted
	*holds { |buffer| ^buffer.bufnum.notNil and: { Buffer.cachedBufferAt(buffer.server, buffer.bufnum) === buffer } }

	// the error of a server that does not run
	*notRunning { |server| ^TertiumError(\server, "The server “%” does not run.".format(server.name), nil, nil, "Boot it first.") }

	// a server answers /sync when all earlier messages are done; only then is the answer to b_query right
	start { |isNew|
		var server = buffer.server, syncId = UniqueID.next;
		began = Main.elapsedTime;
		if(server.serverRunning.not) { ^this.finish(this.class.notRunning(server)) };
		id = TertiumReceiver.newId;
		TertiumReceiver.add(id, this);
		this.listen('/synced', syncId) { this.query };
		if(isNew) { server.sendMsg(*buffer.allocReadMsg(path)) };
		server.sendMsg("/sync", syncId)
	}

	query {
		this.listen('/b_info', buffer.bufnum) { |message| this.compare(message[2]) };
		buffer.server.sendMsg("/b_query", buffer.bufnum)
	}

	listen { |address, number, function|
		responder !? _.free;
		responder = OSCFunc(function, address, buffer.server.addr, argTemplate: [number]).permanent_(true)
	}

	compare { |frames|
		if(frames.asInteger == buffer.numFrames) { this.finish } {
			this.refuse("was read as % frames instead of %".format(frames.asInteger, buffer.numFrames))
		}
	}

	refuse { |problem| this.finish(TertiumError(\server, "% %.".format(path, problem), nil, nil, "Look at the server's post window.")) }

	tick { |now| if(now - began > limit) { this.refuse("was not loaded within % s".format(limit)) } }

	isDone { ^ended.notNil }

	hear {}

	forget {}

	finish { |error|
		if(this.isDone) { ^this };
		ended = Main.elapsedTime;
		responder !? _.free;
		id !? { TertiumReceiver.remove(id) };
		TertiumReceiver.guarded { action.value(if(error.isNil) { buffer } { nil }, error) }
	}
}
