// A file on its way into a Buffer. Buffer.read never says when it fails; this does, and survives Cmd-Period.
TertiumBufferLoader {
	classvar <>limit = 20;
	var path, buffer, action, id, began, <ended, responder;

	// action.(buffer), or action.(nil, TertiumError), once. One that was asked for before need only be waited for
	*new { |path, buffer, isNew, action| ^super.newCopyArgs(path, buffer, action).start(isNew) }

	// whether a Buffer still is what its server holds under its number: not freed, and the server not booted anew
	*holds { |buffer| ^buffer.bufnum.notNil and: { Buffer.cachedBufferAt(buffer.server, buffer.bufnum) === buffer } }

	*notRunning { |server| ^TertiumError(\server, "The server “%” does not run.".format(server.name), nil, nil, "Boot it first.") }

	// a server answers /sync when it has done what was asked before; only then does b_query tell the truth
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
