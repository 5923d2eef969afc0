// The client of a Tertium daemon. The methods for its commands are in TertiumCommands.sc, which is generated from the protocol's command table.
Tertium {
	classvar <version = "0.1.0", <>port, default;
	var <home, givenHost, givenPort, <addr, <facts, <refusal, refused, <>timeout = 10, <>onEvent;

	*initClass { port = TertiumCommandTable.port }

	// home: the daemon's folder. host and port: only needed for a daemon that cannot be found by its folder
	*new { |host, port, home| ^super.new.init(host, port, home) }

	// the version of the protocol
	*protocol { ^TertiumCommandTable.protocol }

	// the shared client, for patches that need only one
	*default { ^default ?? { default = this.new } }

	*default_ { |tertium| default = tertium }

	init { |host, argPort, argHome|
		givenHost = host;
		givenPort = argPort;
		home = (argHome ?? { TertiumHome.default }).asString.standardizePath;
		TertiumReceiver.addClient(this);
		this.find;
		this.hello("SuperCollider " ++ Main.version, this.class.protocol, action: { |fields, request| this.greeted(fields, request) }, timeout: 5)
	}

	// stop receiving the events of other clients' jobs
	free { TertiumReceiver.removeClient(this) }

	// find the daemon's present address: it may have been started meanwhile, or restarted on another port
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

	// the reply to hello
	greeted { |fields, request|
		if(fields.isNil) {
			if(request.error.notNil and: { request.error.code == \bad_message }) { this.refuse(request.error) }
		} {
			if(fields[\protocol].asString.split($.).first != this.class.protocol.split($.).first) {
				this.refuse(TertiumError(\bad_message, "The daemon speaks protocol %; this Quark speaks %.".format(fields[\protocol], this.class.protocol), nil, nil, "Update the older of the two.").post)
			} {
				"Tertium % at %:%, model %: %".format(fields[\version], addr.hostname, addr.port, fields[\model], fields[\state]).postln
			}
		}
	}

	// send no more requests to a daemon whose protocol has another major version, until another daemon has taken its place
	refuse { |error|
		refusal = error;
		refused = facts !? { facts[\pid] };
		TertiumReceiver.pending.do { |each| if(each.isKindOf(TertiumRequest) and: { each.client === this }) { each.fail(error) } }
	}

	// an answer that belongs to no request here: after subscribe, the daemon sends the events of all jobs. onEvent.(event, fields, id)
	overhear { |answer, from|
		if(from.port == addr.port) { onEvent.value(answer[\event], TertiumFields.withLists(answer[\fields]), answer[\id]) }
	}

	// the error of a daemon that does not answer
	absence { |remedy|
		^TertiumError(\no_answer, "No Tertium daemon answers at %:%; start one with: tertium serve.".format(addr.hostname, addr.port), nil, nil, remedy)
	}

	// the token for a command that needs one, as a field. It is read from daemon.json each time, since every start of the daemon has its own
	prToken { |command|
		var token;
		if(TertiumCommandTable.guarded.includes(command).not) { ^[] };
		this.find;
		token = facts !? { facts[\token] };
		^if(token.isString) { [\token, token] } { [] }
	}

	// send a message unchanged to the daemon's present address
	sendMsg { |... message|
		this.find;
		addr.sendMsg(*message)
	}

	// send a command by its name. All methods for commands call this
	request { |command, pairs, action, onProgress, onError, timeout, onTake|
		^TertiumRequest(this, command, pairs, action, onProgress, onError, timeout, onTake)
	}

	// the message of a command: [address, id, name, value, …]
	message { |command, pairs| ^[TertiumCommandTable.prefix ++ command, TertiumReceiver.newId] ++ TertiumEncoder.message(command, pairs) }

	// post the daemon's description of a command and its parameters, or of all commands
	help { |command, action|
		^this.commands(command !? { |name| TertiumHelp.protocolWord(name) }, { |fields, request|
			fields !? { TertiumHelp.post(fields[\commands], command.isNil) };
			action.value(fields, request)
		})
	}

	// open a window with the daemon's state, its jobs, two sounds and their fusion
	gui { ^TertiumView(this) }

	printOn { |stream| stream << this.class.name << "(" << addr.hostname << ":" << addr.port << ")" }
}
