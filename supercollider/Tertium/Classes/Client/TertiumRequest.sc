// One request on its way: how it stands, what came of it. Made by the methods of Tertium, which give it back at once.
TertiumRequest {
	classvar patience = 5, again = 2;
	var <client, <command, <id, given, action, onProgress, onError, timeout, onTake;
	var <state = \waiting, <progress = 0, <stage, <secondsLeft, <fields, <result, <error, <reason, <job, <sent, <began, <ended;
	var sending, waiting, onAccepted, onDone, tries = 0, heard, nextTry, asked = 0, askId, takes, items, announced;

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
		sending = TertiumEncoder(client, command, given, { |pairs| this.send(pairs) }, { |problem| this.fail(problem) });
		sending.start;
	}

	// whether it takes time, and makes a job
	isQueued { ^TertiumCommandTable.queued.includes(command) }

	isDone { ^ended.notNil }

	// the sound that came of it, when one did
	sound {
		^case
		{ result.isKindOf(TertiumSound) } { result }
		{ result.isKindOf(TertiumWindow) } { result.sound }
		{ nil }
	}

	// in a Routine: wait until it has ended, and give its result; nil when it failed, or when the time (s) was up before
	wait { |timeout|
		if(thisThread.isKindOf(Routine).not) {
			Error("wait works in a Routine only, as it must never block sclang. Write: fork { r.wait(30) }; or give an action.").throw
		};
		if(timeout.isNil) { waiting.wait { this.isDone } } { waiting.waitFor(timeout * (thisThread.clock.tryPerform(\tempo) ? 1), { this.isDone }) };
		^result
	}

	// Cmd-Period has ended the Routines that wait for this; what ends it later must not wake them
	forgetWaiting { waiting = CondVar.new }

	// draw the window that it measures, as soon as it is there. For t.window(…).plot
	plot { |bounds|
		if(command != \window) { Error("A % has no curve to plot; a window has.".format(command)).throw };
		this.whenDone { if(result.notNil) { { result.plot(bounds) }.defer } }
	}

	// function.value once it has ended; at once when it has
	whenDone { |function| if(this.isDone) { function.value } { onDone = onDone.addFunc(function) } }

	// have its job cancelled; gives the request that asks for it
	cancel { ^client.cancel(this) }

	// function.(job's id) once it is known, function.(nil) when it never will be
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
		client.sendMsg("/tertium/" ++ command, id, *(sent ++ client.prProof(command)))
	}

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

	// how the job stands; where even that is not answered, or the daemon may be another by now, the request itself again
	ask { |now|
		asked = asked + 1;
		nextTry = now + again;
		if(asked.even) { ^client.sendMsg("/tertium/" ++ command, id, *(sent ++ client.prProof(command))) };
		askId = askId ?? { TertiumReceiver.newId };
		TertiumReceiver.add(askId, this);
		client.sendMsg("/tertium/job", askId, \job, job)
	}

	silence {
		^case
		{ sent.isNil } { TertiumError(\server, "What % needs was not ready within % s.".format(command, timeout), nil, nil, "Does the server still answer?") }
		{ job.isNil and: { TertiumCommandTable.once.includes(command) } } {
			client.absence("It may have been done all the same: look at t.checkpoints.")
		}
		{ job.isNil } { client.absence }
		{ client.absence("Job % goes on where the daemon still runs: ask t.job(\"%\").".format(job, job)) }
	}

	// ---- hearing

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
		var told = onAccepted;
		if(job.isNil) {
			fields.putAll(argFields);
			this.become(\accepted);
		};
		job = argFields[\job];
		onAccepted = nil;
		told.value(job)
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
		// a fresh worker may make one anew, which then counts
		if(takes[index].notNil and: { takes[index].id == argFields[\sound] }) { ^this };
		sound = TertiumSound.fromFields(argFields);
		takes[index] = sound;
		TertiumReceiver.guarded { onTake.value(sound, index, this) };
		this.changed(\take, index)
	}

	// takes of a morph that are ready, by their number
	takes { ^takes.copy }

	// those whose announcement was lost
	takeMissing { |argFields|
		var list = argFields[\takes];
		if(list.isString) { list = TertiumJson.tryParse(list) };
		if(list.isArray.not) { ^this };
		list.do { |each| this.take(TertiumResult.shared(argFields).putAll(each)) }
	}

	// one element of a list, whichever try it answers; a list that has changed meanwhile begins anew
	keepItem { |argFields|
		if(argFields[\count] != items[\count]) {
			items.clear;
			items[\count] = argFields[\count]
		};
		items[argFields[\index]] = TertiumFields.withLists(argFields);
		announced !? { this.reply(announced) }
	}

	reply { |argFields|
		var told = TertiumFields.withLists(argFields), name = TertiumCommandTable.items[command];
		if(name.notNil) {
			announced = argFields;
			told[name] = this.listed(told[\count] ? 0);
			if(told[name].isNil) { ^this };
		};
		fields = told;
		this.endDone(TertiumResult.reply(command, told))
	}

	// the elements in order; nil while some are missing. One that is there twice is of two lists: all are asked for again
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
		if(answer[\event] == \error) { asked = 1; ^this };  // it knows no such job: the request is sent again
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

	// a sound that comes after the time was up is not lost
	hearLate { |answer|
		var told = if(answer[\id] == askId) { answer[\fields][\result] } { if(answer[\event] == \done) { answer[\fields] } };
		if(error.isNil or: { error.code != \no_answer } or: { told.isNil }) { ^this };
		fields = TertiumFields.withLists(told);
		result = TertiumResult.done(command, fields, takes);
		state = \done;
		this.forget;
		"Tertium: % is done after all: %".format(command, fields[\path]).postln;
		this.changed(\state)
	}

	// ---- ending, once

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
		var told = onAccepted;
		if(this.isDone) { ^this };
		ended = Main.elapsedTime;
		onAccepted = nil;
		sending !? { sending.stop };
		this.become(argState);
		if(error.isNil or: { error.code != \no_answer }) { this.forget };
		if(job.isNil) { told.value(nil) };
		if(error.notNil) { this.tellError };
		TertiumReceiver.guarded { action.value(result, this) };
		TertiumReceiver.guarded { onDone.value };
		waiting.signalAll
	}

	tellError { if(onError.notNil) { TertiumReceiver.guarded { onError.value(error, this) } } { error.post } }

	// its answers go nowhere from now on, and what was written for it is deleted
	forget {
		TertiumReceiver.remove(id);
		askId !? { TertiumReceiver.remove(askId) };
		sending !? { sending.temporary.do { |path| if(File.exists(path)) { File.delete(path) } } }
	}

	become { |argState|
		state = argState;
		this.changed(\state)
	}

	printOn { |stream| stream << this.class.name << "(" << command << ", " << state << ", " << id << ")" }
}
