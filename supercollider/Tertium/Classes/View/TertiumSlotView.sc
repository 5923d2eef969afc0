// A slot for one sound: its name, its waveform, a button to play it. Paths, Buffers and sounds can be dropped on it, and dragged from it.
TertiumSlotView {
	classvar <>colors;
	var <view, <title, <sound, wave, nameView, buttons, <>action, onPlay;

	*initClass {
		StartUp.add {
			colors = (
				back: Color.new255(38, 40, 44), slot: Color.new255(26, 28, 31), text: Color.new255(226, 226, 222), dim: Color.new255(148, 150, 152),
				original: Color.new255(226, 122, 63), reference: Color.new255(82, 151, 204), result: Color.new255(190, 160, 210),
				good: Color.new255(104, 190, 110), busy: Color.new255(235, 190, 70), bad: Color.new255(226, 84, 76)
			)
		}
	}

	// onPlay.(sound)
	*new { |title, color, takesDrops = true, onPlay| ^super.newCopyArgs(nil, title).build(color, takesDrops, onPlay) }

	build { |color, takesDrops, argOnPlay|
		var heading = StaticText().string_(title).stringColor_(color).font_(Font.default.copy.size_(12).boldVariant);
		onPlay = argOnPlay;
		nameView = StaticText().stringColor_(colors[\dim]).font_(Font.default.copy.size_(11)).fixedHeight_(16);
		wave = SoundFileView().gridOn_(false).timeCursorOn_(false).background_(colors[\slot])
		.peakColor_(color.copy.alpha_(0.55)).rmsColor_(color).minHeight_(72).canFocus_(false);
		wave.drawsCenterLine_(false).drawsBoundingLines_(false);
		buttons = [this.button("Play") { sound !? { onPlay.value(sound) } }];
		if(takesDrops) { buttons = buttons.add(this.button("Open…") { FileDialog({ |path| this.sound_(path) }, fileMode: 1, stripResult: true) }) };
		view = View().background_(colors[\back]).layout_(VLayout(
			HLayout([heading, stretch: 1], *buttons), [wave, stretch: 1], nameView
		).margins_(0).spacing_(4));
		[view, wave, nameView, heading].do { |each|
			if(takesDrops) { this.takeDrops(each) };
			each.beginDragAction = { sound !? _.path };
		};
		this.sound = nil
	}

	button { |label, function|
		^Button().states_([[label, colors[\text], colors[\back].blend(Color.white, 0.1)]]).fixedHeight_(22).maxWidth_(64).canFocus_(false).action_(function)
	}

	takeDrops { |each|
		each.canReceiveDragHandler = { this.class.soundOf(View.currentDrag).notNil };
		each.receiveDragHandler = { this.sound_(View.currentDrag) }
	}

	// the TertiumSound of a dropped object; nil if it is no sound
	*soundOf { |thing|
		if(thing.isKindOf(Array) and: { thing.isString.not }) { thing = thing[0] };
		if(thing.isKindOf(Symbol)) { thing = thing.asString };
		if(thing.isString) { thing = this.pathOf(thing) };
		^case
		{ thing.isString and: { thing.isEmpty } } { nil }
		{ thing.isString } { TertiumSound(thing) }
		{ thing.isKindOf(PathName) } { TertiumSound(thing.fullPath) }
		{ thing.isKindOf(SoundFile) } { TertiumSound(thing.path) }
		{ thing.isKindOf(Buffer) and: { thing.path.notNil } } { TertiumSound(thing.path) }
		{ thing.isKindOf(TertiumSound) } { thing }
		{ nil }
	}

	// the path in a dropped text, which may be a file:// address
	*pathOf { |text|
		var path = text.split($\n)[0];
		if(path.beginsWith("file://")) { path = this.unescaped(path.drop("file://".size)) };
		^path.reject { |char| char == 13.asAscii }.standardizePath
	}

	// an address with its %XX replaced: %20 is a space
	*unescaped { |text|
		var pieces = text.split($%);
		^pieces[0] ++ pieces.drop(1).collect { |piece|
			if("^[0-9a-fA-F]{2}".matchRegexp(piece)) { (piece[0].digit * 16 + piece[1].digit).asAscii ++ piece.drop(2) } { "%" ++ piece }
		}.join
	}

	// show a sound: a path, a Buffer that was read from a file, a SoundFile or a TertiumSound
	sound_ { |thing|
		var fault;
		sound = thing !? { this.class.soundOf(thing) };
		fault = sound !? _.fault;
		if(sound.isNil or: { fault.notNil }) {
			wave.alloc(1);
			nameView.string = case { fault.notNil } { fault.message } { thing.notNil } { "this cannot be used as a sound" } { this.invitation };
			sound = nil
		} {
			wave.load(sound.path);
			nameView.string = "%   % s".format(sound.path.basename, sound.duration.round(0.01))
		};
		action.value(this)
	}

	invitation { ^if(buttons.size > 1) { "drop a sound file here" } { "" } }
}
