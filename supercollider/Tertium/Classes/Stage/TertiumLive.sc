// A live fusion of what is played with a reference, bar by bar: on one bar it takes the last seconds of a bus, and on the next it swaps in the fusion.
// A failure is not heard: the present fusion plays on, and onKeep is called with the reason.
TertiumLive {
	classvar <>margin = 0.15;  // seconds before the bar by which a fusion must be done, so that it can be loaded in time
	classvar counter = 0;

	var <tertium, <>reference, <server, <clock, <quant, givenSeconds, <longest, <recorder, <player, <slot;
	var <>blend = 0.5, <>fields, <>auto = true, <>onSwap, <>onKeep;
	var bars, current, <ready, <sound, armed = false, underway;
	var <taken = 0, <swapped = 0, <kept = 0, <last, <error, <deadline;

	// bus: the bus to record. reference: a checkpoint's name or a sound. seconds: the length of a take; by default a bar (quant)
	*new { |tertium, bus = 0, reference, clock, quant, seconds, channels = 2, server, target, blend = 0.5, onSwap, onKeep|
		^super.newCopyArgs(tertium ?? { Tertium.default }, reference, server ? Server.default, clock ? TempoClock.default)
		.init(bus, quant, seconds, channels, target, blend, onSwap, onKeep)
	}

	init { |bus, argQuant, seconds, channels, target, argBlend, argOnSwap, argOnKeep|
		quant = argQuant ?? { clock.beatsPerBar };
		givenSeconds = seconds;
		longest = max(this.seconds * 2, 8);
		counter = counter + 1;
		slot = "live-%-%".format(thisProcess.pid, counter);
		blend = argBlend;
		onSwap = argOnSwap;
		onKeep = argOnKeep;
		fields = ();
		underway = List.new;
		CmdPeriod.add(this);  // before the recorder and the player: takes must be abandoned before the recording stops
		ServerQuit.add(this, server);
		player = TertiumMorph(nil, server, target: target);
		player.seam = 0.01;
		player.fade = 0.02;
		recorder = TertiumBusRecorder(server, bus, channels, longest + player.seam);
	}

	// the seconds of a take: those given, else those of a bar at the clock's tempo
	seconds { ^givenSeconds ?? { quant / clock.tempo } }
	seconds_ { |value| givenSeconds = value }

	isPlaying { ^bars.notNil }
	out { ^player.out }
	out_ { |bus| player.out = bus }
	amp { ^player.amp }
	amp_ { |value| player.amp = value }

	// record, and from the next bar on make a take on each bar; with auto = false only after take is called
	play { |out, target|
		if(bars.notNil) { ^this };
		if(server.serverRunning.not) { TertiumBufferLoader.notRunning(server).throw };
		if(clock.isRunning.not) {
			TertiumError(\conflict, "The clock of this TertiumLive was stopped, as Cmd-Period does with clocks that are not permanent.", \clock, nil,
				"Make a new TertiumLive with a clock that runs, such as TempoClock.default, or TempoClock(…).permanent_(true).").throw
		};
		recorder.play(target);
		out !? { player.out = out };
		this.prSchedule
	}

	// make a take on the next bar for which enough is recorded, and swap in its fusion on the bar after it
	take { armed = true }

	// fade out and stop recording; the last fusion stays and can be played again
	stop { |time|
		this.prHalt;
		recorder.stop;
		server.makeBundle(server.latency, { player.stop(time) })  // not before a swap that has been sent already
	}

	// stop, and free all that this has on the server
	free { |time|
		this.stop(time);
		recorder.free;
		player.free(time);
		CmdPeriod.remove(this);
		ServerQuit.remove(this, server)
	}

	// end the sound and the recording; the last fusion and the recorder's buffer stay on the server, for play
	cmdPeriod { this.prHalt }

	doOnServerQuit { this.prHalt }

	// the present state, an Event
	status {
		^(playing: this.isPlaying, auto: auto, taken: taken, swapped: swapped, kept: kept, last: last, error: error, deadline: deadline,
			underway: underway.collect(_.state).asArray, sound: sound, seconds: this.seconds, slot: slot)
	}

	printOn { |stream| stream << "TertiumLive(taken: " << taken << ", swapped: " << swapped << ", kept: " << kept << ", last: " << last << ")" }

	// ------------------------------------------------------------------ private

	prSchedule {
		var mine = Object.new;
		bars = mine;
		clock.schedAbs(clock.nextTimeOnGrid(quant), {
			if(bars === mine) { TertiumReceiver.guarded { this.prBar }; quant }
		})
	}

	prHalt {
		bars = nil;
		armed = false;
		current = nil;
		underway.copy.do(_.abandon);
		underway.clear;
		ready !? { ready.drop };
		ready = nil
	}

	prBar {
		if(player.isPlaying.not) { server.makeBundle(server.latency, { player.play }) };
		this.prSwapOrKeep;
		if((auto or: { armed }) and: { recorder.heard >= this.prLength }) {
			armed = false;
			this.prTake
		}
	}

	// the seconds that are recorded for a take: its loop, and before it the seam that leads to the loop's start
	prLength { ^this.seconds + player.seam }

	prSwapOrKeep {
		if(ready.notNil) {
			this.prSwap(ready);
			ready = nil
		} {
			if(current.notNil and: { current.isUnderway }) { current.late }
		}
	}

	prSwap { |take|
		server.makeBundle(server.latency, { player.swap(take.takes, 0) });
		sound = take.sound;
		swapped = swapped + 1;
		last = \swap;
		error = nil;
		TertiumReceiver.guarded { onSwap.(sound, this) }
	}

	prTake {
		if(this.seconds > longest) { this.prTooLong; ^this };
		taken = taken + 1;
		underway.select { |take| take.isUnanswered }.do(_.abandon);
		current = TertiumLiveTake(this, taken, clock.beats + quant);
		underway.add(current);
		server.makeBundle(server.latency, { current.record })
	}

	prTooLong {
		this.prKeep(\out_of_range, TertiumError(\out_of_range, "A take of % s is longer than the % s that the recorder keeps.".format(this.seconds.round(0.01), longest.round(0.01)), \seconds,
			this.seconds, "Make a new TertiumLive at this tempo, or set seconds."))
	}

	prRequest { |path, due, action, onError|
		var pairs = [original: path, reference: reference, blend: blend, slot: slot];
		deadline = (due - clock.elapsedBeats) / clock.tempo - margin;
		if(deadline <= 0) { onError.(TertiumError(\deadline, "The take was written too late for its bar.", \deadline, deadline, "See how busy the machine is.")); ^nil };
		fields.keysValuesDo { |name, value| pairs = pairs ++ [name, value] };
		if(fields[\loop].isNil) { pairs = pairs ++ [loop: \off] };  // a take is longer than its loop, and the player crossfades the seam itself
		^tertium.request(\fuse, pairs ++ [deadline: deadline.max(0.05)], action, nil, onError, timeout: max(2 * deadline, 2))
	}

	// keep the newest fusion that is ready until the bar
	prReady { |take|
		if(ready.notNil and: { ready.number > take.number }) { take.drop; ^this };
		ready !? { ready.drop };
		ready = take
	}

	prEnded { |take| underway.remove(take) }

	// count a bar without a swap, and report the reason
	prKeep { |reason, argError|
		kept = kept + 1;
		if(onKeep.isNil and: { reason != last }) { argError !? _.post };
		last = reason;
		error = argError;
		TertiumReceiver.guarded { onKeep.(reason, this, argError) }
	}
}
