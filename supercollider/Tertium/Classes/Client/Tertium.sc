// A Tertium daemon, as a performer sees it. The methods for its commands are in TertiumCommands.sc, made from the protocol's table.
Tertium {
	classvar <version = "0.1.0", <protocol = "1.4", <>port = 7700, default;
	var <home, givenHost, givenPort, <addr, <facts, <refusal, refused, <>timeout = 10, <>onEvent;

	// home: the daemon's folder. host and port: only where the daemon is not to be found by its folder
	*new { |host, port, home| ^super.new.init(host, port, home) }

	// the one for those who need but one
	*default { ^default ?? { default = this.new } }

	*default_ { |tertium| default = tertium }

	init { |host, argPort, argHome|
		givenHost = host;
		givenPort = argPort;
		home = (argHome ?? { TertiumHome.default }).asString.standardizePath;
		TertiumReceiver.addClient(this);
		this.find;
		this.hello("SuperCollider " ++ Main.version, protocol, action: { |fields, request| this.met(fields, request) }, timeout: 5)
	}

	// hear of the jobs of others no more
	free { TertiumReceiver.removeClient(this) }

	// look where the daemon is now: it may have been started since, or again, on another port
	find {
		var host, argPort;
		if(givenPort.isNil and: { givenHost.isNil }) {
			facts = TertiumHome.read(home);
			#host, argPort = TertiumHome.endpoint(facts) ?? { [nil, nil] };
		} {
			host = givenHost;
			argPort = givenPort;
		};
		addr = NetAddr(host ? "127.0.0.1", argPort ? port);
		if(refusal.notNil and: { facts !? { facts[\pid] } != refused }) { refusal = nil }
	}

	met { |fields, request|
		if(fields.isNil) {
			if(request.error.notNil and: { request.error.code == \bad_message }) { this.refuse(request.error) }
		} {
			if(fields[\protocol].asString.split($.).first != protocol.split($.).first) {
				this.refuse(TertiumError(\bad_message, "The daemon speaks protocol %; this is %.".format(fields[\protocol], protocol), nil, nil, "Update the older of the two.").post)
			} {
				"Tertium % at %:%, model %: %".format(fields[\version], addr.hostname, addr.port, fields[\model], fields[\state]).postln
			}
		}
	}

	// ask nothing more of a daemon whose protocol has another major version, until another daemon has taken its place
	refuse { |error|
		refusal = error;
		refused = facts !? { facts[\pid] };
		TertiumReceiver.pending.do { |each| if(each.isKindOf(TertiumRequest) and: { each.client === this }) { each.fail(error) } }
	}

	// an answer to nobody here: subscribe has the events of all jobs sent. onEvent.(event, fields, id)
	overhear { |answer, from|
		if(from.port == addr.port) { onEvent.value(answer[\event], TertiumFields.withLists(answer[\fields]), answer[\id]) }
	}

	// what to say when nobody answers
	absence { |remedy|
		^TertiumError(\no_answer, "No Tertium daemon answers at %:%; start one with: tertium serve.".format(addr.hostname, addr.port), nil, nil, remedy)
	}

	// what shows that we may ask for a command that could harm: the token in daemon.json, read anew, since each start has its own
	prProof { |command|
		var token;
		if(TertiumCommandTable.guarded.includes(command).not) { ^[] };
		this.find;
		token = facts !? { facts[\token] };
		^if(token.isString) { [\token, token] } { [] }
	}

	// send a message as it is, to where the daemon is now
	sendMsg { |... message|
		this.find;
		addr.sendMsg(*message)
	}

	// ask for a command by its name: what all methods for commands come down to
	request { |command, pairs, action, onProgress, onError, timeout, onTake|
		^TertiumRequest(this, command, pairs, action, onProgress, onError, timeout, onTake)
	}

	// the message for it: [address, id, name, value, …]
	message { |command, pairs| ^["/tertium/" ++ command, TertiumReceiver.newId] ++ TertiumEncoder.message(command, pairs) }

	// post what the daemon says of a command and its parameters, or of all commands
	help { |command, action|
		^this.commands(command !? { |name| TertiumHelp.protocolWord(name) }, { |fields, request|
			fields !? { TertiumHelp.post(fields[\commands], command.isNil) };
			action.value(fields, request)
		})
	}

	// a small window: the daemon, its jobs, two sounds, and what they become
	gui { ^TertiumView(this) }

	printOn { |stream| stream << this.class.name << "(" << addr.hostname << ":" << addr.port << ")" }
}
