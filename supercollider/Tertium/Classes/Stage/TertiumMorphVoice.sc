// One synth of a TertiumMorph, with the takes that it plays; it says when it is gone.
TertiumMorphVoice {
	var <server, <takes, onEnd, <node, responders, farewell;

	*new { |server, takes, seamed, onEnd| ^super.newCopyArgs(server, takes, onEnd).init(seamed) }

	// A responder of its own: a node watcher would not know of it before the server is known to run, and forgets it on Cmd-Period.
	init { |seamed|
		node = Synth.basicNew(TertiumMorph.defName(takes.size, takes.channels, seamed), server);
		responders = [
			OSCFunc({ this.end }, '/n_end', server.addr, argTemplate: [node.nodeID]),
			OSCFunc({ farewell !? { server.sendMsg(*farewell) } }, '/n_go', server.addr, argTemplate: [node.nodeID])
		].do(_.permanent_(true))
	}

	newMsg { |group, settings| ^node.newMsg(group, settings, \addToTail) }

	// It may be told to go before it has come, as its bundle is for later: then it is told again.
	leaveMsg { |fade| ^farewell = node.setMsg(\fade, fade, \gate, 0) }

	end {
		if(responders.notNil) {
			this.forget;
			onEnd.(this)
		}
	}

	forget {
		responders.do(_.free);
		responders = nil
	}
}
