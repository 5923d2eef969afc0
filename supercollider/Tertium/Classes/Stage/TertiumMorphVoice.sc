// A voice of a TertiumMorph: a synth and the takes that it plays. It calls onEnd when the synth has ended.
TertiumMorphVoice {
	var <server, <takes, onEnd, <node, responders, farewell;

	*new { |server, takes, seamed, onEnd| ^super.newCopyArgs(server, takes, onEnd).init(seamed) }

	// the voice has responders of its own: a NodeWatcher works only once the server is known to run, and forgets its nodes on Cmd-Period
	init { |seamed|
		node = Synth.basicNew(TertiumMorph.defName(takes.size, takes.channels, seamed), server);
		responders = [
			OSCFunc({ this.end }, '/n_end', server.addr, argTemplate: [node.nodeID]),
			OSCFunc({ farewell !? { server.sendMsg(*farewell) } }, '/n_go', server.addr, argTemplate: [node.nodeID])
		].do(_.permanent_(true))
	}

	newMsg { |group, settings| ^node.newMsg(group, settings, \addToTail) }

	// the message that ends the synth. If the synth has not begun yet, since its bundle is for later, the message is sent again when it begins
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
