// Fuses what is being played with a reference, bar by bar: takes the last seconds of a bus on one bar, and swaps the fusion in on the next.
// Nothing that goes wrong on the way is heard: what plays goes on, and onKeep says why.
TertiumLive {
	classvar <>margin = 0.15;  // seconds before the bar at which a fusion must be done, to be loaded in time
	classvar counter = 0;

	var <tertium, <>reference, <server, <clock, <quant, givenSeconds, <longest, <ring, <player, <slot;
	var <>blend = 0.5, <>fields, <>auto = true, <>onSwap, <>onKeep;
	var bars, current, <ready, <sound, armed = false, underway;
	var <taken = 0, <swapped = 0, <kept = 0, <last, <error, <deadline;

	// bus: what to record. reference: a checkpoint's name or a sound. seconds: how much is taken; a bar's length (quant) where nothing is said
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
		CmdPeriod.add(this);  // before the ring and the player: first nothing is wanted any more, then nothing is recorded
		ServerQuit.add(this, server);
		player = TertiumMorph(nil, server, target: target);
		player.seam = 0.01;
		player.fade = 0.02;
		ring = TertiumBusRecorder(server, bus, channels, longest + player.seam);
	}

	// Seconds that a take has: those given, else a bar's at the clock's tempo.
	seconds { ^givenSeconds ?? { quant / clock.tempo } }
	seconds_ { |value| givenSeconds = value }

	isPlaying { ^bars.notNil }
	out { ^player.out }
	out_ { |bus| player.out = bus }
	amp { ^player.amp }
	amp_ { |value| player.amp = value }

	// Records, and from the next bar on takes each bar, or (auto = false) when it is told to.
	play { |out, target|
		if(bars.notNil) { ^this };
		if(server.serverRunning.not) { TertiumBufferLoader.notRunning(server).throw };
		if(clock.isRunning.not) {
			TertiumError(\conflict, "The clock of this TertiumLive was stopped, as Cmd-Period does with clocks that are not permanent.", \clock, nil,
				"Make a new TertiumLive with a clock that runs, such as TempoClock.default, or TempoClock(…).permanent_(true).").throw
		};
		ring.play(target);
		out !? { player.out = out };
		this.prSchedule
	}

	// Takes on the next bar for which enough was recorded, and swaps in on the one after.
	take { armed = true }

	// Fades out and stops recording; the last fusion stays, to be played again.
	stop { |time|
		this.prHalt;
		ring.stop;
		server.makeBundle(server.latency, { player.stop(time) })  // not before a swap that is on its way
	}

	// Stops, and gives back all that it took from the server.
	free { |time|
		this.stop(time);
		ring.free;
		player.free(time);
		CmdPeriod.remove(this);
		ServerQuit.remove(this, server)
	}

	// The sound and the recording stop; the last fusion and the ring stay on the server, for play.
	cmdPeriod { this.prHalt }

	doOnServerQuit { this.prHalt }

	// How it stands, an Event.
	status {
		^(playing: this.isPlaying, auto: auto, taken: taken, swapped: swapped, kept: kept, last: last, error: error, deadline: deadline,
			underway: underway.collect(_.state).asArray, sound: sound, seconds: this.seconds, slot: slot)
	}

	printOn { |stream| stream << "TertiumLive(taken: " << taken << ", swapped: " << swapped << ", kept: " << kept << ", last: " << last << ")" }

	// ------------------------------------------------------------------ within

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
		if((auto or: { armed }) and: { ring.heard >= this.prLength }) {
			armed = false;
			this.prTake
		}
	}

	// What a take has besides its loop: some moments before, which lead to where the loop begins.
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
		this.prKeep(\out_of_range, TertiumError(\out_of_range, "A take of % s is longer than the % s that are kept.".format(this.seconds.round(0.01), longest.round(0.01)), \seconds,
			this.seconds, "Make a new TertiumLive at this tempo, or set seconds."))
	}

	prRequest { |path, due, action, onError|
		var pairs = [original: path, reference: reference, blend: blend, slot: slot];
		deadline = (due - clock.elapsedBeats) / clock.tempo - margin;
		if(deadline <= 0) { onError.(TertiumError(\deadline, "The bar is too near: the take was written too late.", \deadline, deadline, "See how busy the machine is.")); ^nil };
		fields.keysValuesDo { |name, value| pairs = pairs ++ [name, value] };
		if(fields[\loop].isNil) { pairs = pairs ++ [loop: \off] };  // a take has more than its loop, and the player leads over by itself
		^tertium.request(\fuse, pairs ++ [deadline: deadline.max(0.05)], action, nil, onError, timeout: max(2 * deadline, 2))
	}

	// The newest that is ready waits for the bar.
	prReady { |take|
		if(ready.notNil and: { ready.number > take.number }) { take.drop; ^this };
		ready !? { ready.drop };
		ready = take
	}

	prEnded { |take| underway.remove(take) }

	prKeep { |reason, argError|
		kept = kept + 1;
		if(onKeep.isNil and: { reason != last }) { argError !? _.post };
		last = reason;
		error = argError;
		TertiumReceiver.guarded { onKeep.(reason, this, argError) }
	}
}
