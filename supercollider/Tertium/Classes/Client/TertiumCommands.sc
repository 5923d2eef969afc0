// Generated from the protocol's command table by supercollider/quark.py. Do not edit.
+ Tertium {
	hello { |client, protocol, replyPort, action, onError, timeout|
		^this.request(\hello, [client: client, protocol: protocol, reply_port: replyPort], action, nil, onError, timeout)
	}

	helloMsg { |client, protocol, replyPort|
		^this.message(\hello, [client: client, protocol: protocol, reply_port: replyPort])
	}

	status { |action, onError, timeout|
		^this.request(\status, [], action, nil, onError, timeout)
	}

	statusMsg {
		^this.message(\status, [])
	}

	commands { |command, action, onError, timeout|
		^this.request(\commands, [command: command], action, nil, onError, timeout)
	}

	commandsMsg { |command|
		^this.message(\commands, [command: command])
	}

	subscribe { |seconds, action, onError, timeout|
		^this.request(\subscribe, [seconds: seconds], action, nil, onError, timeout)
	}

	subscribeMsg { |seconds|
		^this.message(\subscribe, [seconds: seconds])
	}

	addSound { |path, name, start, end, seconds, markers, action, onError, timeout|
		^this.request(\add_sound, [path: path, name: name, start: start, end: end, seconds: seconds, markers: markers], action, nil, onError, timeout)
	}

	addSoundMsg { |path, name, start, end, seconds, markers|
		^this.message(\add_sound, [path: path, name: name, start: start, end: end, seconds: seconds, markers: markers])
	}

	sound { |sound, action, onError, timeout|
		^this.request(\sound, [sound: sound], action, nil, onError, timeout)
	}

	soundMsg { |sound|
		^this.message(\sound, [sound: sound])
	}

	sounds { |limit, offset, action, onError, timeout|
		^this.request(\sounds, [limit: limit, offset: offset], action, nil, onError, timeout)
	}

	soundsMsg { |limit, offset|
		^this.message(\sounds, [limit: limit, offset: offset])
	}

	keep { |sound, kept, action, onError, timeout|
		^this.request(\keep, [sound: sound, kept: kept], action, nil, onError, timeout)
	}

	keepMsg { |sound, kept|
		^this.message(\keep, [sound: sound, kept: kept])
	}

	deleteSound { |sound, action, onError, timeout|
		^this.request(\delete_sound, [sound: sound], action, nil, onError, timeout)
	}

	deleteSoundMsg { |sound|
		^this.message(\delete_sound, [sound: sound])
	}

	clean { |dryRun, action, onError, timeout|
		^this.request(\clean, [dry_run: dryRun], action, nil, onError, timeout)
	}

	cleanMsg { |dryRun|
		^this.message(\clean, [dry_run: dryRun])
	}

	models { |action, onError, timeout|
		^this.request(\models, [], action, nil, onError, timeout)
	}

	modelsMsg {
		^this.message(\models, [])
	}

	checkpoints { |action, onError, timeout|
		^this.request(\checkpoints, [], action, nil, onError, timeout)
	}

	checkpointsMsg {
		^this.message(\checkpoints, [])
	}

	importCheckpoint { |path, name, action, onError, timeout|
		^this.request(\import_checkpoint, [path: path, name: name], action, nil, onError, timeout)
	}

	importCheckpointMsg { |path, name|
		^this.message(\import_checkpoint, [path: path, name: name])
	}

	exportCheckpoint { |checkpoint, path, action, onError, timeout|
		^this.request(\export_checkpoint, [checkpoint: checkpoint, path: path], action, nil, onError, timeout)
	}

	exportCheckpointMsg { |checkpoint, path|
		^this.message(\export_checkpoint, [checkpoint: checkpoint, path: path])
	}

	renameCheckpoint { |checkpoint, name, action, onError, timeout|
		^this.request(\rename_checkpoint, [checkpoint: checkpoint, name: name], action, nil, onError, timeout)
	}

	renameCheckpointMsg { |checkpoint, name|
		^this.message(\rename_checkpoint, [checkpoint: checkpoint, name: name])
	}

	deleteCheckpoint { |checkpoint, action, onError, timeout|
		^this.request(\delete_checkpoint, [checkpoint: checkpoint], action, nil, onError, timeout)
	}

	deleteCheckpointMsg { |checkpoint|
		^this.message(\delete_checkpoint, [checkpoint: checkpoint])
	}

	learn { |reference, prompt, name, method, steps, batch, seconds, rank, rate, nullDropout, ema, seed, format, action, onProgress, onError, timeout|
		^this.request(\learn, [reference: reference, prompt: prompt, name: name, method: method, steps: steps, batch: batch, seconds: seconds, rank: rank, rate: rate, null_dropout: nullDropout, ema: ema, seed: seed, format: format], action, onProgress, onError, timeout)
	}

	learnMsg { |reference, prompt, name, method, steps, batch, seconds, rank, rate, nullDropout, ema, seed, format|
		^this.message(\learn, [reference: reference, prompt: prompt, name: name, method: method, steps: steps, batch: batch, seconds: seconds, rank: rank, rate: rate, null_dropout: nullDropout, ema: ema, seed: seed, format: format])
	}

	preview { |job, steps, seed, format, name, action, onProgress, onError, timeout|
		^this.request(\preview, [job: job, steps: steps, seed: seed, format: format, name: name], action, onProgress, onError, timeout)
	}

	previewMsg { |job, steps, seed, format, name|
		^this.message(\preview, [job: job, steps: steps, seed: seed, format: format, name: name])
	}

	generate { |prompt, reference, seconds, guidance, negative, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout|
		^this.request(\generate, [prompt: prompt, reference: reference, seconds: seconds, guidance: guidance, negative: negative, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout)
	}

	generateMsg { |prompt, reference, seconds, guidance, negative, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\generate, [prompt: prompt, reference: reference, seconds: seconds, guidance: guidance, negative: negative, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	vary { |original, prompt, strength, guidance, loop, level, negative, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout|
		^this.request(\vary, [original: original, prompt: prompt, strength: strength, guidance: guidance, loop: loop, level: level, negative: negative, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout)
	}

	varyMsg { |original, prompt, strength, guidance, loop, level, negative, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\vary, [original: original, prompt: prompt, strength: strength, guidance: guidance, loop: loop, level: level, negative: negative, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	invert { |original, anchor, reconstructFrom, level, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout|
		^this.request(\invert, [original: original, anchor: anchor, reconstruct_from: reconstructFrom, level: level, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout)
	}

	invertMsg { |original, anchor, reconstructFrom, level, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\invert, [original: original, anchor: anchor, reconstruct_from: reconstructFrom, level: level, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	fuse { |original, reference, prompt, blend, intervention, hold, anchor, guidance, loop, level, spread, place, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout|
		^this.request(\fuse, [original: original, reference: reference, prompt: prompt, blend: blend, intervention: intervention, hold: hold, anchor: anchor, guidance: guidance, loop: loop, level: level, spread: spread, place: place, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout)
	}

	fuseMsg { |original, reference, prompt, blend, intervention, hold, anchor, guidance, loop, level, spread, place, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\fuse, [original: original, reference: reference, prompt: prompt, blend: blend, intervention: intervention, hold: hold, anchor: anchor, guidance: guidance, loop: loop, level: level, spread: spread, place: place, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	morph { |original, reference, prompt, count, hold, anchor, guidance, loop, level, spread, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout, onTake|
		^this.request(\morph, [original: original, reference: reference, prompt: prompt, count: count, hold: hold, anchor: anchor, guidance: guidance, loop: loop, level: level, spread: spread, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout, onTake)
	}

	morphMsg { |original, reference, prompt, count, hold, anchor, guidance, loop, level, spread, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\morph, [original: original, reference: reference, prompt: prompt, count: count, hold: hold, anchor: anchor, guidance: guidance, loop: loop, level: level, spread: spread, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	window { |original, reference, prompt, points, hold, anchor, guidance, level, spread, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline, action, onProgress, onError, timeout|
		^this.request(\window, [original: original, reference: reference, prompt: prompt, points: points, hold: hold, anchor: anchor, guidance: guidance, level: level, spread: spread, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline], action, onProgress, onError, timeout)
	}

	windowMsg { |original, reference, prompt, points, hold, anchor, guidance, level, spread, strength, completionPrompt, completionGuidance, negative, align, steps, order, eta, null, seed, format, sampleRate, name, slot, deadline|
		^this.message(\window, [original: original, reference: reference, prompt: prompt, points: points, hold: hold, anchor: anchor, guidance: guidance, level: level, spread: spread, strength: strength, completion_prompt: completionPrompt, completion_guidance: completionGuidance, negative: negative, align: align, steps: steps, order: order, eta: eta, null: null, seed: seed, format: format, sample_rate: sampleRate, name: name, slot: slot, deadline: deadline])
	}

	job { |job, action, onError, timeout|
		^this.request(\job, [job: job], action, nil, onError, timeout)
	}

	jobMsg { |job|
		^this.message(\job, [job: job])
	}

	jobs { |limit, offset, state, action, onError, timeout|
		^this.request(\jobs, [limit: limit, offset: offset, state: state], action, nil, onError, timeout)
	}

	jobsMsg { |limit, offset, state|
		^this.message(\jobs, [limit: limit, offset: offset, state: state])
	}

	cancel { |job, request, action, onError, timeout|
		^this.request(\cancel, [job: job, request: request], action, nil, onError, timeout)
	}

	cancelMsg { |job, request|
		^this.message(\cancel, [job: job, request: request])
	}

	allow { |path, action, onError, timeout|
		^this.request(\allow, [path: path], action, nil, onError, timeout)
	}

	allowMsg { |path|
		^this.message(\allow, [path: path])
	}

	shutdown { |action, onError, timeout|
		^this.request(\shutdown, [], action, nil, onError, timeout)
	}

	shutdownMsg {
		^this.message(\shutdown, [])
	}
}
