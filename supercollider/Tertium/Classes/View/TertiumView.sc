// A window on the daemon: its state and jobs, two sounds, blend and hold, and their fusion. While it is open it asks for the daemon's state at an interval.
TertiumView {
	classvar <>interval = 1;
	var <tertium, <window, <original, <reference, <result, <blend, <hold, <request, <message = "", <stateText = "", <jobTexts, synth;
	var light, stateView, progressView, messageView, queue, queueJobs, ticking = false, answered = true, colors;

	*new { |tertium| ^super.newCopyArgs(tertium ?? { Tertium.default }).build }

	build {
		colors = TertiumSlotView.colors;
		jobTexts = [];
		original = TertiumSlotView("Original", colors[\original], true, { |sound| this.hear(sound) });
		reference = TertiumSlotView("Reference", colors[\reference], true, { |sound| this.hear(sound) });
		result = TertiumSlotView("Third", colors[\result], false, { |sound| this.hear(sound) });
		blend = this.knob(0.5, "0 is the reference, 1 the original");
		hold = this.knob(0.2, "how much of the reference stays while the fusion is completed");
		window = Window("Tertium", Rect(160, 160, 640, 560)).background_(colors[\back]);
		window.layout = VLayout(
			this.head,
			[HLayout(original.view, reference.view).spacing_(10), stretch: 2],
			this.controls,
			[result.view, stretch: 2],
			[this.list, stretch: 1],
			this.foot
		).margins_(12).spacing_(10);
		window.onClose = { this.closed };
		CmdPeriod.add(this);
		window.front;
		this.showState(nil);
		this.startTicking
	}

	// ---- parts

	head {
		light = TertiumStatusLight.new;
		stateView = this.text(12);
		^HLayout(light.view, [stateView, stretch: 1])
	}

	controls {
		^HLayout(
			this.labelled("Reference", colors[\reference]), [blend[\slider], stretch: 2], this.labelled("Original", colors[\original]), blend[\number], 12,
			this.labelled("Hold", colors[\text]), [hold[\slider], stretch: 1], hold[\number], 12,
			this.button("Fuse") { this.fuse }, this.button("Cancel") { this.cancel }
		)
	}

	list {
		queue = ListView().background_(colors[\slot]).stringColor_(colors[\text]).font_(Font.default.copy.size_(11)).minHeight_(64)
		.selectionMode_(\single).hiliteColor_(colors[\back].blend(Color.white, 0.15)).selectedStringColor_(colors[\text])
		.toolTip_("The daemon's jobs. Return shows the sound of a finished one here; Backspace cancels one.");
		queue.enterKeyAction = { this.showJob(queue.value) };
		queue.mouseUpAction = { |view, x, y, modifiers, button, clicks| this.showJob(queue.value) };
		queue.keyDownAction = { |view, char, modifiers, unicode, keycode, key|
			if([8, 127].includes(unicode)) { this.cancelJob(queue.value); true } { View.defaultKeyDownAction(view, char, modifiers, unicode, keycode, key) }
		};
		^queue
	}

	foot {
		messageView = this.text(12).minHeight_(20);
		progressView = TertiumProgressBar.new(colors[\good], colors[\slot]);
		^VLayout(progressView.view, messageView).spacing_(6)
	}

	knob { |value, tip|
		var slider, number;
		slider = Slider().orientation_(\horizontal).value_(value).minHeight_(22).maxHeight_(24).knobColor_(colors[\text]).background_(colors[\slot]).toolTip_(tip);
		number = NumberBox().clipLo_(0).clipHi_(1).decimals_(2).step_(0.01).scroll_step_(0.01).value_(value).fixedWidth_(48).toolTip_(tip)
		.background_(colors[\slot]).normalColor_(colors[\text]).align_(\center);
		slider.action = { number.value = slider.value };
		number.action = { slider.value = number.value };
		^(slider: slider, number: number)
	}

	button { |label, function|
		^Button().states_([[label, colors[\text], colors[\back].blend(Color.white, 0.14)]]).fixedHeight_(26).minWidth_(64).action_(function)
	}

	text { |size| ^StaticText().stringColor_(colors[\text]).font_(Font.default.copy.size_(size)) }

	labelled { |string, color| ^this.text(11).string_(string).stringColor_(color) }

	// ---- actions

	// fuse the two sounds with the blend and hold that are shown
	fuse {
		if(original.sound.isNil or: { reference.sound.isNil }) { ^this.say("Two sounds are needed: drop an original and a reference on their places.", \busy) };
		this.say("");
		request = tertium.fuse(original.sound, reference.sound, blend: blend[\number].value, hold: hold[\number].value,
			action: { |sound, ended| { this.fused(sound, ended) }.defer },
			onProgress: { |fraction, ended| { this.showProgress(ended) }.defer },
			onError: { |error| { this.say(error.string, \bad) }.defer }
		);
		progressView.value = 0
	}

	fused { |sound, ended|
		if(window.isNil or: { ended !== request }) { ^this };
		progressView.value = if(sound.notNil) { 1 } { 0 };
		if(ended.state == \cancelled) { this.say(ended.reason, \busy) };
		if(sound.notNil) {
			result.sound = sound;
			this.say("% in % s, seed %%".format(sound.path.basename, ended.fields[\elapsed].round(0.01), sound.seed, ([""] ++ sound.notes).join("; ")), \text)
		};
		this.ask
	}

	showProgress { |ended|
		if(window.isNil or: { ended !== request } or: { ended.isDone }) { ^this };
		progressView.value = ended.progress;
		this.say("% % %".format(ended.stage, (ended.progress * 100).round.asInteger, "%") ++ (ended.secondsLeft !? { |left| ", % s left".format(left.round(0.1)) } ? ""), \text)
	}

	// cancel the fusion that this window has requested
	cancel { if(request.isNil or: { request.isDone }) { this.say("There is nothing to cancel here.", \busy) } { request.cancel } }

	// play the result
	play { if(result.sound.notNil) { this.hear(result.sound) } { this.say("There is no third sound yet: press Fuse.", \busy) } }

	hear { |sound|
		var server = Server.default;
		if(server.serverRunning.not) { ^this.say("The server “%” does not run. Boot it first: s.boot".format(server.name), \bad) };
		synth !? { if(synth.isPlaying) { synth.release } };
		synth = sound.play(server);
		if(synth.isNil) { this.say(sound.fault.string, \bad) } { NodeWatcher.register(synth, true) }
	}

	// ---- display

	say { |string, color = \text|
		if(window.isNil) { ^this };
		message = string;
		messageView.string = string;
		messageView.stringColor = colors[color]
	}

	showState { |fields, error|
		if(window.isNil) { ^this };
		light.color = case
		{ error.notNil } { colors[\bad] }
		{ fields.isNil } { colors[\dim] }
		{ fields[\state] == "ready" } { colors[\good] }
		{ fields[\state] == "failed" } { colors[\bad] }
		{ colors[\busy] };
		stateText = case
		{ error.notNil } { error.message }
		{ fields.isNil } { "looking for a daemon" }
		{ this.stateLine(fields) };
		stateView.string = stateText
	}

	stateLine { |fields|
		var line = "%: % on %".format(fields[\state], fields[\model], fields[\device] ? "?");
		fields[\precision] !? { |precision| line = line + precision };
		line = line ++ ", % waiting, % done".format(fields[\queued], fields[\done]);
		if(fields[\failed] > 0) { line = line ++ ", % failed".format(fields[\failed]) };
		^fields[\message] !? { |message| line ++ ". " ++ message } ? line
	}

	showJobs { |jobs|
		var chosen = queueJobs !? { queueJobs[queue.value ? -1] } !? _[\job], texts = jobs.collect { |job| this.jobLine(job) };
		if(window.isNil) { ^this };
		queueJobs = jobs;
		if(texts == jobTexts) { ^this };
		// the chosen job stays chosen, wherever it is now
		jobTexts = texts;
		queue.items = texts;
		queue.value = jobs.detectIndex { |job| job[\job] == chosen }
	}

	jobLine { |job|
		var what = job[\result] !? { |made| made[\path].basename } ?? { job[\error] !? _[\message] } ?? { job[\reason] } ?? { job[\stage] } ? "";
		var percent = if(job[\state] == "running") { " % %".format((job[\fraction] * 100).round.asInteger, "%") } { "" };
		if(what == job[\state]) { what = "" };
		^"%%   %   %".format(job[\state], percent, job[\command], what)
	}

	showJob { |index|
		var job = queueJobs !? { queueJobs[index ? -1] };
		if(job.notNil and: { job[\state] == "done" }) { result.sound = TertiumSound.fromFields(job[\result]) }
	}

	cancelJob { |index|
		var job = queueJobs !? { queueJobs[index ? -1] };
		job !? { tertium.cancel(job[\job], { { this.ask }.defer }, { |error| { this.say(error.string, \bad) }.defer }) }
	}

	// ---- time

	// ask for the daemon's state, unless the last question is still unanswered
	ask {
		if(answered.not) { ^this };
		answered = false;
		tertium.status({ |fields, ended| { answered = true; this.showState(fields, ended.error) }.defer }, { }, 3);
		tertium.jobs(limit: 20, action: { |fields| { fields !? { this.showJobs(fields[\jobs]) } }.defer }, onError: { }, timeout: 3)
	}

	startTicking {
		if(ticking) { ^this };
		ticking = true;
		AppClock.sched(0, { if(window.notNil) { this.ask; interval } { ticking = false; nil } })
	}

	// start the clock again, which Cmd-Period has cleared
	cmdPeriod {
		ticking = false;
		this.startTicking
	}

	// close the window
	close { window !? _.close }

	closed {
		window = nil;
		CmdPeriod.remove(this);
		synth !? { if(synth.isPlaying) { synth.release } }
	}
}
