// One synth of a TertiumMorph, with the takes that it plays; it says when it is gone.
TertiumVoice {
	var <server, <takes, onEnd, <node, responder;

	*new { |server, takes, seamed, onEnd| ^super.newCopyArgs(server, takes, onEnd).init(seamed) }

	// A responder of its own: a node watcher would not know of it before the server is known to run, and forgets it on Cmd-Period.
	init { |seamed|
		node = Synth.basicNew(TertiumMorph.defName(takes.size, takes.channels, seamed), server);
		responder = OSCFunc({ this.end }, '/n_end', server.addr, argTemplate: [node.nodeID]).permanent_(true)
	}

	newMsg { |group, settings| ^node.newMsg(group, settings, \addToTail) }

	leaveMsg { |fade| ^node.setMsg(\fade, fade, \gate, 0) }

	end {
		if(responder.notNil) {
			this.forget;
			onEnd.(this)
		}
	}

	forget {
		responder !? { responder.free };
		responder = nil
	}
}
