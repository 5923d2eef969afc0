// Everything that daemons send arrives here and goes to the request whose id it carries. One set of responders for the whole of sclang; it survives
// Cmd-Period, so that no answer is lost by it, and so does the clockwork that tells requests that time passes.
TertiumReceiver {
	classvar <events;
	classvar requests, clients, assembler, responders, ticking = false;
	classvar interval = 0.1, mostLate = 64;
	classvar session, counter = 0;

	*initClass {
		events = #[\accepted, \progress, \take, \done, \failed, \cancelled, \reply, \error, \item, \part];
		requests = IdentityDictionary.new;
		clients = IdentitySet.new;
		assembler = TertiumDecoder.new;
	}

	// an id that is unique among clients and over time. Not made by rand: a patch that seeds it would get yesterday's jobs
	*newId {
		session = session ?? { "sc-%-%".format(thisProcess.pid, Date.getDate.rawSeconds.asStringPrec(14).tr($., $-)) };
		counter = counter + 1;
		^(session ++ "-" ++ counter).asSymbol
	}

	// have what carries this id told to a request
	*add { |id, request|
		this.listen;
		requests[id] = request;
		this.startTicking;
	}

	*remove { |id| requests.removeAt(id) }

	// those that have not ended
	*pending { ^this.all.reject(_.isDone) }

	*all { ^requests.values.as(IdentitySet).asArray }

	// have events of jobs that nobody here asked for told to a client
	*addClient { |client|
		this.listen;
		clients.add(client)
	}

	*removeClient { |client| clients.remove(client) }

	*listen {
		if(responders.notNil) { ^this };
		responders = events.collect { |event|
			OSCFunc({ |message, time, addr| this.receive(message, addr) }, "/tertium/" ++ event).permanent_(true)
		};
		CmdPeriod.add(this);
		ShutDown.add { this.all.do(_.forget) };
	}

	// it has cleared the clocks
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

	// a message as it came: [address, id, name, value, …]
	*receive { |message, addr|
		var answer = assembler.feed(message);
		answer !? { this.guarded { this.deliver(answer, addr) } }
	}

	*deliver { |answer, addr|
		var request = requests[answer[\id]];
		case
		{ request.notNil } { request.hear(answer) }
		{ answer[\id] == '' } { TertiumError.fromFields(answer[\fields]).post }
		{ answer[\event] != \item } { clients.do { |client| client.overhear(answer, addr) } };
	}

	// a user's function: what goes wrong in it is reported, and stops nothing here. It runs in a Routine of its own, since in sclang an error
	// that is caught leaves its traces on the stack; so it may wait, too
	*guarded { |function|
		var routine = Routine { try { function.value } { |problem| problem.reportError } }, yielded;
		routine.threadPlayer = routine;
		routine.clock = SystemClock;
		yielded = routine.next;
		if(yielded.isNumber) { SystemClock.sched(yielded, routine) }
	}
}
