// A request to the daemon: its state and its result. The methods of Tertium return one at once.
TertiumRequest {
	classvar patience = 5, again = 2;  // seconds of silence before the job is asked about, and between two such questions
	var <client, <command, <id, given, action, onProgress, onError, timeout, onTake;
	var <state = \waiting, <progress = 0, <stage, <secondsLeft, <fields, <result, <error, <reason, <job, <sent, <began, <ended;
	var encoder, waiting, onAccepted, onDone, tries = 0, heard, nextTry, asked = 0, askId, takes, items, announced;

	*new { |client, command, given, action, onProgress, onError, timeout, onTake|
		^super.newCopyArgs(client, command, TertiumReceiver.newId, given, action, onProgress, onError, timeout, onTake).start
	}

	start {
		timeout = timeout ?? { client.timeout };
		waiting = CondVar.new;
		fields = Event.new;
		takes = IdentityDictionary.new;
		items = IdentityDictionary.new;
		began = heard = Main.elapsedTime;
		TertiumReceiver.add(id, this);
		encoder = TertiumEncoder(client, command, given, { |pairs| this.send(pairs) }, { |problem| this.fail(problem) });
		encoder.start;
	}

	// whether the command becomes a job
	isQueued { ^TertiumCommandTable.queued.includes(command) }

	isDone { ^ended.notNil }

	// the sound of the result, if it has one
	sound {
		^case
		{ result.isKindOf(TertiumSound) } { result }
		{ result.isKindOf(TertiumWindow) } { result.sound }
		{ nil }
	}

	// wait in a Routine until the request has ended, for timeout seconds at most. Returns the result; nil when the request failed or the time was up
	wait { |timeout|
		if(thisThread.isKindOf(Routine).not) {
			Error("wait works in a Routine only, as it must never block sclang. Write: fork { r.wait(30) }; or give an action.").throw
		};
		if(timeout.isNil) { waiting.wait { this.isDone } } { waiting.waitFor(timeout * (thisThread.clock.tryPerform(\tempo) ? 1), { this.isDone }) };
		^result
	}

	// forget the Routines that wait: Cmd-Period has ended them, and the end of the request must not wake them
	forgetWaiting { waiting = CondVar.new }

	// plot the measured window as soon as it is ready. For t.window(…).plot
	plot { |bounds|
		if(command != \window) { Error("A % has no curve to plot; a window has.".format(command)).throw };
		this.whenDone { if(result.notNil) { { result.plot(bounds) }.defer } }
	}

	// function.value once the request has ended; at once if it already has
	whenDone { |function| if(this.isDone) { function.value } { onDone = onDone.addFunc(function) } }

	// cancel the job; returns the request that does so
	cancel { ^client.cancel(this) }

	// function.(id of the job) once the daemon has accepted it; function.(nil) if the request ends before
	whenAccepted { |function|
		case
		{ job.notNil } { function.value(job) }
		{ this.isDone } { function.value(nil) }
		{ onAccepted = onAccepted.addFunc(function) }
	}

	// ---- sending

	send { |pairs|
		sent = pairs;
		heard = Main.elapsedTime;
		this.attempt
	}

	attempt {
		client.find;
		if(client.refusal.notNil and: { command != \hello }) { ^this.fail(client.refusal) };
		tries = tries + 1;
		nextTry = Main.elapsedTime + tries.clip(1, 4);
		this.prSend
	}

	prSend { client.sendMsg(TertiumCommandTable.prefix ++ command, id, *(sent ++ client.prToken(command))) }

	// ---- time

	tick { |now|
		var silent = now - heard;
		if(this.isDone) { ^this };
		if(silent > timeout) { ^this.fail(this.silence) };
		if(sent.isNil) { ^this };
		if(job.isNil) {
			if(now >= nextTry and: { TertiumCommandTable.once.includes(command).not }) { this.attempt }
		} {
			if(silent > min(patience, timeout / 2) and: { now >= nextTry }) { this.ask(now) }
		}
	}

	// ask for the job's state; every second time send the request again, since another daemon may have taken the place of the first
	ask { |now|
		asked = asked + 1;
		nextTry = now + again;
		if(asked.even) { ^this.prSend };
		askId = askId ?? { TertiumReceiver.newId };
		TertiumReceiver.add(askId, this);
		client.sendMsg(TertiumCommandTable.prefix ++ "job", askId, \job, job)
	}

	silence {
		^case
		{ sent.isNil } { TertiumError(\server, "The fields of % were not ready within % s.".format(command, timeout), nil, nil, "See whether the server still answers.") }
		{ job.isNil and: { TertiumCommandTable.once.includes(command) } } {
			client.absence("It may have been done all the same: look at t.checkpoints.")
		}
		{ job.isNil } { client.absence }
		{ client.absence("Job % goes on where the daemon still runs: ask t.job(\"%\").".format(job, job)) }
	}

	// ---- answers

	hear { |answer|
		var event = answer[\event];
		if(this.isDone) { ^this.hearLate(answer) };
		heard = Main.elapsedTime;
		if(answer[\id] == askId) { ^this.hearJob(answer) };
		asked = 0;
		switch(event,
			\accepted, { this.accept(answer[\fields]) },
			\progress, { this.move(answer[\fields]) },
			\take, { this.take(TertiumFields.withLists(answer[\fields])) },
			\done, { this.finish(answer[\fields]) },
			\failed, { this.fail(TertiumError.fromFields(answer[\fields])) },
			\error, { this.fail(TertiumError.fromFields(answer[\fields])) },
			\cancelled, { this.endCancelled(answer[\fields][\reason]) },
			\item, { this.keepItem(answer[\fields]) },
			\reply, { this.reply(answer[\fields]) }
		)
	}

	accept { |argFields|
		var waitingFor = onAccepted;
		if(job.isNil) {
			fields.putAll(argFields);
			this.become(\accepted);
		};
		job = argFields[\job];
		onAccepted = nil;
		waitingFor.value(job)
	}

	move { |argFields|
		var fraction = argFields[\fraction] ? progress;
		if(fraction < progress) { ^this };
		job = job ? argFields[\job];
		progress = fraction;
		stage = argFields[\stage];
		secondsLeft = argFields[\seconds_left];
		fields.putAll(argFields);
		if(state != \running) { this.become(\running) };
		TertiumReceiver.guarded { onProgress.value(progress, this) };
		this.changed(\progress)
	}

	take { |argFields|
		var index = argFields[\index], sound;
		// a restarted worker may make a take again, and the new one counts
		if(takes[index].notNil and: { takes[index].id == argFields[\sound] }) { ^this };
		sound = TertiumSound.fromFields(argFields);
		takes[index] = sound;
		TertiumReceiver.guarded { onTake.value(sound, index, this) };
		this.changed(\take, index)
	}

	// the takes of a morph that are ready, by their number
	takes { ^takes.copy }

	// the takes whose announcement was lost
	takeMissing { |argFields|
		var list = argFields[\takes];
		if(list.isString) { list = TertiumJson.tryParse(list) };
		if(list.isArray.not) { ^this };
		list.do { |each| this.take(TertiumResult.shared(argFields).putAll(each)) }
	}

	// an element of a list, whichever attempt it answers. If the list has changed meanwhile, the elements are collected again
	keepItem { |argFields|
		if(argFields[\count] != items[\count]) {
			items.clear;
			items[\count] = argFields[\count]
		};
		items[argFields[\index]] = TertiumFields.withLists(argFields);
		announced !? { this.reply(announced) }
	}

	reply { |argFields|
		var read = TertiumFields.withLists(argFields), name = TertiumCommandTable.items[command];
		if(name.notNil) {
			announced = argFields;
			read[name] = this.listed(read[\count] ? 0);
			if(read[name].isNil) { ^this };
		};
		fields = read;
		this.endDone(TertiumResult.reply(command, read))
	}

	// the elements in order; nil while some are missing. If one occurs twice, they are from two lists, and all are asked for again
	listed { |count|
		var list = count.collect { |index| items[index] }, names;
		if(list.includes(nil)) { ^nil };
		names = list.collect { |each| (each[\job] ? each[\sound] ? each[\name]).asSymbol };
		if(names.as(IdentitySet).size < count) {
			items.clear;
			^nil
		};
		^list.collect { |each| TertiumResult.item(command, each) }
	}

	hearJob { |answer|
		var argFields = answer[\fields];
		if(answer[\event] == \error) { asked = 1; ^this };  // the daemon does not know the job: next the request is sent again
		if(answer[\event] != \reply) { ^this };
		asked = 0;
		switch(argFields[\state].asSymbol,
			\running, {
				this.takeMissing(argFields);
				this.move(argFields)
			},
			\done, { this.finish(argFields[\result]) },
			\failed, { this.fail(TertiumError.fromFields(argFields[\error])) },
			\cancelled, { this.endCancelled(argFields[\reason]) }
		)
	}

	// a result that comes after the request has given up: it is kept all the same
	hearLate { |answer|
		var late = if(answer[\id] == askId) { answer[\fields][\result] } { if(answer[\event] == \done) { answer[\fields] } };
		if(error.isNil or: { error.code != \no_answer } or: { late.isNil }) { ^this };
		fields = TertiumFields.withLists(late);
		result = TertiumResult.done(command, fields, takes);
		state = \done;
		this.forget;
		"Tertium: % is done after all: %".format(command, fields[\path]).postln;
		this.changed(\state)
	}

	// ---- the end

	finish { |argFields|
		job = job ? argFields[\job];
		fields = TertiumFields.withLists(argFields);
		this.takeMissing(fields);
		progress = 1;
		secondsLeft = 0;
		this.endDone(TertiumResult.done(command, fields, takes))
	}

	endDone { |argResult|
		result = argResult;
		this.end(\done)
	}

	endCancelled { |why|
		reason = why ? "It was cancelled.";
		this.end(\cancelled)
	}

	fail { |problem|
		error = problem;
		this.end(\failed)
	}

	end { |argState|
		var waitingFor = onAccepted;
		if(this.isDone) { ^this };
		ended = Main.elapsedTime;
		onAccepted = nil;
		encoder !? { encoder.stop };
		this.become(argState);
		if(error.isNil or: { error.code != \no_answer }) { this.forget };
		if(job.isNil) { waitingFor.value(nil) };
		if(error.notNil) { this.tellError };
		TertiumReceiver.guarded { action.value(result, this) };
		TertiumReceiver.guarded { onDone.value };
		waiting.signalAll
	}

	tellError { if(onError.notNil) { TertiumReceiver.guarded { onError.value(error, this) } } { error.post } }

	// stop receiving answers, and delete the files that were written for the request
	forget {
		TertiumReceiver.remove(id);
		askId !? { TertiumReceiver.remove(askId) };
		encoder !? { encoder.temporary.do { |path| if(File.exists(path)) { File.delete(path) } } }
	}

	become { |argState|
		state = argState;
		this.changed(\state)
	}

	printOn { |stream| stream << this.class.name << "(" << command << ", " << state << ", " << id << ")" }
}
