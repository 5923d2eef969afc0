// The measured window of a pair of sounds: the interventions between which the result moves from the reference to the original.
TertiumWindow {
	var <fields, <sound;

	*new { |fields| ^super.newCopyArgs(fields, TertiumSound.fromFields(fields)) }

	measured { ^fields[\window] }

	// the curve, from the reference alone to the original alone: an Array of Events
	points { ^this.measured[\points] }

	// the steps that it was measured with
	steps { ^this.measured[\steps] }

	// the interventions, with a fraction, at a tenth of the way, at equal likeness to both sounds, at nine tenths
	begin { ^this.measured[\begin] }
	equilibrium { ^this.measured[\equilibrium] }
	end { ^this.measured[\end] }

	// sigma / alpha at evenly spaced blends, from which the daemon computes blend from now on
	ratios { ^this.measured[\ratios] }

	// the curve's JSON file
	path { ^this.measured[\path] }

	notes { ^fields[\notes] }

	// plot the likeness to the original and to the reference over the step of the intervention
	plot { |bounds|
		var plotter = [this.points.collect(_[\original]), this.points.collect(_[\reference])]
		.plot("Tertium: the window", bounds ?? { Rect(100, 100, 560, 320) });
		plotter.superpose = true;
		plotter.domain = this.points.collect { |point| point[\intervention] ? 0 };
		plotter.setProperties(\plotColor, [Color.new255(214, 96, 51), Color.new255(48, 110, 160)], \labelX, "intervention", \labelY, "likeness");
		plotter.refresh;
		^plotter
	}

	printOn { |stream|
		stream << this.class.name << "(begin " << this.begin.round(0.1) << ", equilibrium " << this.equilibrium.round(0.1) << ", end " << this.end.round(0.1)
		<< " of " << this.steps << " steps)"
	}
}
