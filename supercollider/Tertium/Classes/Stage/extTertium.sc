// The part of Tertium for the stage.
+ Tertium {
	// a TertiumMorph that plays the takes of a morph on a bus
	*morphSynth { |takes, out = 0, server, position = 0, target, addAction = \addToHead|
		^TertiumMorph(takes, server, position, target, addAction).play(out)
	}
}
