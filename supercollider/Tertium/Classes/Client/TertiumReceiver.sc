// The receiver of all that daemons send: each answer goes to the request whose id it has. There is one set of responders for the whole of sclang. It survives
// Cmd-Period, so that no answer is lost, and so does the clock by which requests notice that time has passed.
TertiumReceiver {
	classvar requests, clients, decoder, responders, ticking = false;
	classvar interval = 0.1, mostLate = 64;
	classvar session, counter = 0;

	*initClass {
		requests = IdentityDictionary.new;
		clients = IdentitySet.new;
		decoder = TertiumDecoder.new;
	}

	// a new id, unique among clients and over time. It does not come from rand: a patch that sets the seed would get yesterday's jobs
	*newId {
		session = session ?? { "sc-%-%".format(thisProcess.pid, Date.getDate.rawSeconds.asStringPrec(14).tr($., $-)) };
		counter = counter + 1;
		^(session ++ "-" ++ counter).asSymbol
	}

	// deliver the answers with this id to a request
	*add { |id, request|
		this.listen;
		requests[id] = request;
		this.startTicking;
	}

	*remove { |id| requests.removeAt(id) }

	// the requests that have not ended
	*pending { ^this.all.reject(_.isDone) }

	*all { ^requests.values.as(IdentitySet).asArray }

	// deliver the events of other clients' jobs to a client
	*addClient { |client|
		this.listen;
		clients.add(client)
	}

	*removeClient { |client| clients.remove(client) }

	*listen {
		if(responders.notNil) { ^this };
		responders = TertiumCommandTable.events.collect { |event|
			OSCFunc({ |message, time, addr| this.receive(message, addr) }, TertiumCommandTable.prefix ++ event).permanent_(true)
		};
		CmdPeriod.add(this);
		ShutDown.add { this.all.do(_.forget) };
	}

	// start the clock again, which Cmd-Period has cleared
	*cmdPeriod {
		ticking = false;
		if(CmdPeriod.clearClocks) { this.all.do { |each| if(each.isKindOf(TertiumRequest)) { each.forgetWaiting } } };
		this.startTicking;
	}

	*startTicking {
		if(ticking or: { this.pending.isEmpty }) { ^this };
		ticking = true;
		SystemClock.sched(interval, {
			this.guarded { this.tick };
			if(this.pending.isEmpty) { ticking = false; nil } { interval }
		});
	}

	*tick {
		var now = Main.elapsedTime, late = this.all.select(_.isDone);
		this.pending.do(_.tick(now));
		if(late.size > mostLate) { late.sort { |a, b| a.ended < b.ended }.drop(mostLate.neg).do(_.forget) };
	}

	// a message as it arrived: [address, id, name, value, …]
	*receive { |message, addr|
		var answer = decoder.feed(message);
		answer !? { this.guarded { this.deliver(answer, addr) } }
	}

	*deliver { |answer, addr|
		var request = requests[answer[\id]];
		case
		{ request.notNil } { request.hear(answer) }
		{ answer[\id] == '' } { TertiumError.fromFields(answer[\fields]).post }
		{ answer[\event] != \item } { clients.do { |client| client.overhear(answer, addr) } };
	}

	// evaluate a user's function: an error in it is reported and stops nothing here. It runs in a Routine of its own, since in sclang a caught error leaves
	// traces on the stack; therefore it may also wait
	*guarded { |function|
		var routine = Routine { try { function.value } { |problem| problem.reportError } }, yielded;
		routine.threadPlayer = routine;
		routine.clock = SystemClock;
		yielded = routine.next;
		if(yielded.isNumber) { SystemClock.sched(yielded, routine) }
	}
}
