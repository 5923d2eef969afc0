// A crossfade between the takes of a morph, all of them at one phase, by a position.
//
// The class methods are the pseudo-UGen for SynthDefs and its parts. An instance is a player: it loads takes, plays them, and swaps in others while it plays.
TertiumMorph {
	classvar <snap = 0.001;  // the distance from a take, in takes, within which only that take is heard, sample by sample
	classvar leastGlide = 0.007;  // seconds a take: the changing gains of 32 takes within a twentieth of a second would be heard as a tone

	var <server, <>target, <>addAction;
	var <out = 0, <position = 0, <rate = 1, <amp = 1, <loop = 1, <glide = 0.05, <>fade = 0.05, <correlation = 0, <>seam = 0;
	var <takes, loading, wantsPlay = false;
	var <group, groupMsg, <synth, voices, phaseBus, freed = false;
	var <>onError;

	// ------------------------------------------------------------------ for SynthDefs

	// the largest number of takes
	*maxTakes { ^TertiumCommandTable.mostTakes }

	// the crossfade
	*ar { |bufnums, position = 0, numChannels = 2, rate = 1, loop = 1, start = 0, glide = 0.05, correlation = 0, seam = 0, phase, interpolation = 4|
		var first, place, level, heads;
		bufnums = bufnums.asArray;
		this.checkCount(bufnums.size);
		first = bufnums.first;
		phase = phase ?? { this.phase(first, rate, start, seam) };
		place = this.place(bufnums.size, position, glide);
		level = this.level(place.frac, correlation);
		heads = this.heads(first, phase, seam, loop);
		^bufnums.inject(nil) { |sum, bufnum, index|
			var here = this.prAfter(place, sum);
			var take = heads.collect { |head|
				BufRd.ar(numChannels, bufnum, if(sum.isNil) { head[0] } { this.prAfter(head[0], here) }, loop, interpolation) * head[1]
			}.sum;
			take * this.gain(here, index) + (sum ? 0)
		} * level
	}

	// a signal, unchanged, that is computed after others. It makes the servers add the takes one by one; otherwise they would read all takes first, and 32 of them
	// need more wires than a server has
	*prAfter { |signal, others| ^others.asArray.inject(signal) { |signal, other| signal.perform('<!', other) } }

	// the one phase of all takes, in frames. With a seam it goes from the seam's end to the end of the takes
	*phase { |bufnum, rate = 1, start = 0, seam = 0|
		var led = this.prSeamFrames(bufnum, seam), frames = BufFrames.kr(bufnum) - led;
		^(Phasor.ar(0, rate * BufRateScale.kr(bufnum), 0, frames) + max(start, led) - led).wrap(0, frames) + led
	}

	// the places where the takes are read, each as [phase, gain]. With a seam, the end of the takes is crossfaded with their beginning, which leads to the loop's start
	*heads { |bufnum, phase, seam = 0, loop = 1|
		var led, begin, along;
		if(seam == 0) { ^[[phase, 1]] };
		led = this.prSeamFrames(bufnum, seam).max(1);
		begin = phase - (BufFrames.kr(bufnum) - led);
		along = (begin / led).max(0) * (loop > 0);
		^[[phase, this.equalPower(1 - along)], [begin.max(0), this.equalPower(along)]]
	}

	*prSeamFrames { |bufnum, seam| ^if(seam == 0) { 0 } { (seam * BufSampleRate.kr(bufnum)).round } }

	// the position in takes, from 0, smoothed, at audio rate
	*place { |count, position = 0, glide = 0.05|
		var time = glide.max(min(glide * 1e6, leastGlide * (count - 1)));
		^Lag2.ar(this.prAudioRate(position).clip(0, 1), time) * (count - 1)
	}

	// the gain of a take at a place. On a take, its gain is exactly 1 and that of all others exactly 0
	*gain { |place, index| ^this.prQuarter((place - index).abs * (1 + (2 * snap)).neg + (1 + snap)) }

	// the gain of equal power, from 0 (silent) to 1 (alone): a quarter of a sine, so that the powers of two neighbours add up to 1. Its ends are rounded, so that
	// the gain has no corners when the position moves
	*equalPower { |place| ^this.prQuarter(place * (1 + (2 * snap)) + snap.neg) }

	*prQuarter { |place| ^(place.scurve * 0.5pi).sin }

	// the factor that takes off the gain of two sounds that are alike. It is 1 with correlation 0, where they have nothing in common
	*level { |place, correlation = 0|
		if(correlation == 0) { ^1 };
		^1 / (this.equalPower(place) * this.equalPower(1 - place) * 2 * correlation + 1).sqrt  // reciprocal would be less exact
	}

	*prAudioRate { |signal|
		^switch(signal.rate,
			\audio, { signal },
			\control, { K2A.ar(signal) },
			{ DC.ar(signal) }
		)
	}

	*checkCount { |count| this.countProblem(count) !? _.throw }

	*countProblem { |count|
		if(count.inclusivelyBetween(1, this.maxTakes)) { ^nil };
		^TertiumError(\out_of_range, "A morph has 1 to % takes; got %.".format(this.maxTakes, count), \takes, count,
			"Give it the array that a morph's action gets.")
	}

	// the SynthDef of a player's voice, for this number of takes with this number of channels. With a seam it reads each take twice
	*synthDef { |count, channels, seamed = false|
		this.checkCount(count);
		^SynthDef(this.defName(count, channels, seamed), {
			var bufs = \bufs.ir(0 ! count), rate = \rate.kr(1), loop = \loop.kr(1), correlation = \correlation.kr(0);
			var seam = if(seamed) { \seam.ir(0) } { 0 }, first = bufs.asArray.first, phase = this.prVoicePhase(first, rate, seam);
			var sound = this.ar(bufs, \position.ar(0), channels, glide: \glide.kr(0.05), loop: loop, correlation: correlation, seam: seam, phase: phase);
			Out.ar(\out.kr(0), sound * this.prUnended(phase, BufFrames.kr(first), loop) * this.prEntrance(correlation)
				* Lag.ar(K2A.ar(\amp.kr(1).clip(0, 1)), 0.02));
		})
	}

	*defName { |count, channels, seamed = false| ^"tertium_morph_%x%%".format(count, channels, if(seamed) { "_seam" } { "" }).asSymbol }

	// the phase of a voice: from its start, or, with a negative start, from the phase that the playing voice wrote to the bus, in the same sample. It is written to
	// the bus for the next voice
	*prVoicePhase { |bufnum, rate, seam|
		var bus = \phaseBus.ir(0), start = \start.ir(0);
		var others = Latch.kr(In.kr(bus), Impulse.kr(0)) * \startScale.ir(1);
		var phase = this.phase(bufnum, rate, Select.kr(start < 0, [start, others]), seam);
		ReplaceOut.kr(bus, A2K.kr(phase));
		^phase
	}

	// 1 until the end of the last turn, when loop is 0; then the synth ends
	*prUnended { |phase, frames, loop|
		var turned = (phase - Delay1.ar(phase)).abs > (frames / 2);
		var ended = SetResetFF.ar(turned * (loop <= 0));
		FreeSelf.kr(A2K.kr(ended));
		^1 - ended
	}

	// the fade in and out, with equal power between the voice that comes and the one that goes. The gate is open for a moment even if it is closed in the synth's
	// first block; otherwise the envelope would never end
	*prEntrance { |correlation|
		var gate = \gate.kr(1).max(Impulse.kr(0));
		var place = EnvGen.ar(Env.asr(\fade.kr(0.05), 1, \fade.kr(0.05), \lin), gate, doneAction: 2);
		^this.equalPower(place) * this.level(place, correlation)
	}

	// ------------------------------------------------------------------ the player

	*new { |takes, server, position = 0, target, addAction = \addToHead, action, onError|
		^super.new.init(server ? Server.default, position, target, addAction, onError).prFirst(takes, action)
	}

	init { |argServer, argPosition, argTarget, argAddAction, argOnError|
		server = argServer;
		position = argPosition;
		target = argTarget;
		addAction = argAddAction;
		onError = argOnError;
		voices = IdentitySet.new;
		CmdPeriod.add(this);
		ServerQuit.add(this, server);
	}

	isPlaying { ^synth.notNil }
	isLoading { ^loading.notNil }
	count { ^takes !? _.size ? 0 }
	duration { ^takes !? _.duration }

	// play from the start, as soon as there are takes
	play { |out|
		if(freed) { "TertiumMorph: it was freed; make a new one.".warn; ^this };
		out !? { this.out = out };
		if(takes.notNil and: { synth.isNil }) { this.prEnter(takes, 0) } { wantsPlay = synth.isNil };
		^this
	}

	// end the sound; the takes stay and can be played again
	stop { |time|
		wantsPlay = false;
		synth !? { this.prLeave(time) };
		^this
	}

	// end the sound and free all that the player has on the server
	free { |time|
		if(freed) { ^this };
		freed = true;
		loading !? _.free;
		loading = nil;
		this.stop(time);
		takes !? { this.prFreeTakes(takes) };
		takes = nil;
		if(voices.isEmpty) { this.prForget };
		^this
	}

	// load other takes, then swap them in at the phase of those that play. The last ones given win
	takes_ { |sources| this.load(sources) }

	load { |sources, action, start|
		this.prepare(sources) { |set, error|
			if(error.isNil) { this.swap(set, start) } { this.prFailed(error) };
			action.(this, error)
		}
	}

	// load takes while others play: action.(takes, error), once. After that, swap takes no time
	prepare { |sources, action|
		var set = TertiumTakes(sources, server);
		loading !? _.free;
		loading = set;
		set.load(seam > 0) { |loaded, error|
			if(loading === set) { loading = nil };
			action.(if(error.isNil) { loaded }, error)
		}
	}

	// swap in prepared takes: from a frame, or (nil) at the phase of those that play. Can be in a bundle
	swap { |set, start|
		var old = takes;
		if(freed) { set.free; ^this };
		takes = set;
		if(synth.notNil or: { wantsPlay }) { this.prEnter(set, start ? if(synth.isNil) { 0 } { -1 }) };
		if(old.notNil and: { old !== set }) { this.prFreeTakes(old) };
		^this
	}

	// a number from 0 (the reference) to 1 (the original), or a bus of either rate that carries it
	position_ { |value|
		if(position.isKindOf(Bus)) { group !? { server.sendBundle(nil, [\n_map, group.nodeID, \position, -1], [\n_mapa, group.nodeID, \position, -1]) } };
		position = value;
		this.prSet(\position, if(value.isKindOf(Bus)) { value.asMap } { value })
	}

	rate_ { |value| rate = value; this.prSet(\rate, value) }
	amp_ { |value| amp = value; this.prSet(\amp, value) }
	glide_ { |value| glide = value; this.prSet(\glide, value) }
	correlation_ { |value| correlation = value; this.prSet(\correlation, value) }
	loop_ { |value| loop = value.asInteger; this.prSet(\loop, loop) }
	out_ { |value| out = value.asControlInput; this.prSet(\out, out) }

	// end the sound; the takes stay on the server, so that they can be played again at once
	cmdPeriod {
		wantsPlay = false;
		synth = nil;
		group !? { server.sendMsg(\n_free, group.nodeID) };
		group = nil;
		voices.copy.do { |voice| voice.end };
	}

	// forget all that was on the server
	doOnServerQuit {
		wantsPlay = false;
		synth = group = groupMsg = phaseBus = takes = nil;
		loading !? _.drop;
		loading = nil;
		voices.copy.do { |voice| voice.forget };
		voices.clear;
		if(freed) { this.prForget }
	}

	// ------------------------------------------------------------------ private

	// start a voice and end the one that plays, both in one bundle and so in one sample
	prEnter { |set, start|
		var voice = TertiumMorphVoice(server, set, seam > 0) { |ended| this.prEnded(ended) };
		var messages = [voice.newMsg(this.prGroup, this.prSettings(set, start))];
		wantsPlay = false;
		groupMsg !? { messages = [groupMsg] ++ messages };
		groupMsg = nil;
		synth !? { messages = messages.add(synth.leaveMsg(fade)) };
		voices.add(voice);
		synth = voice;
		server.sendBundle(nil, *messages)
	}

	prLeave { |time|
		server.sendBundle(nil, synth.leaveMsg(time ? fade));
		synth = nil
	}

	prEnded { |voice|
		voices.remove(voice);
		if(synth === voice) { synth = nil };
		if(voice.takes !== takes) { this.prFreeTakes(voice.takes) };
		if(voices.isEmpty) {
			group !? { server.sendMsg(\n_free, group.nodeID) };
			group = nil;
			if(freed) { this.prForget }
		}
	}

	// free takes that are no longer needed, unless a voice still plays them; then the end of the last such voice does
	prFreeTakes { |set|
		if(voices.any { |voice| voice.takes === set }.not) { set.free }
	}

	prFirst { |sources, action| sources !? { this.load(sources, action) } }

	prGroup {
		if(group.isNil) {
			group = Group.basicNew(server);
			groupMsg = group.newMsg(target ?? { server.defaultGroup }, addAction)
		};
		^group
	}

	prSettings { |set, start|
		var scale = if(synth.isNil) { 1 } { set.sampleRate / synth.takes.sampleRate };
		phaseBus = phaseBus ?? { Bus.control(server, 1) };
		^[\bufs, set.bufnums, \start, start, \startScale, scale, \phaseBus, phaseBus.index, \out, out, \position, if(position.isKindOf(Bus)) { position.asMap } { position }, \rate, rate,
			\amp, amp, \loop, loop, \glide, glide, \fade, fade, \correlation, correlation, \seam, seam]
	}

	// set a control of all voices, so that one that fades out moves like the one that fades in
	prSet { |key, value| group !? { group.set(key, value.asControlInput) } }

	prFailed { |error|
		if(error.code != \superseded) { if(onError.notNil) { onError.(error, this) } { error.post } }
	}

	// free the bus, with the last voice: one that fades out still writes to it
	prForget {
		phaseBus !? { phaseBus.free };
		phaseBus = nil;
		CmdPeriod.remove(this);
		ServerQuit.remove(this, server)
	}
}
