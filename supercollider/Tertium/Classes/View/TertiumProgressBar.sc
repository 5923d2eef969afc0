// A progress bar: a thin line that fills from the left.
TertiumProgressBar {
	var <view, <value = 0, color, back;

	*new { |color, back| ^super.newCopyArgs(nil, 0, color, back).build }

	build {
		view = UserView().fixedHeight_(6).background_(back).drawFunc_({ |bar|
			Pen.fillColor = color;
			Pen.fillRect(Rect(0, 0, bar.bounds.width * value, bar.bounds.height))
		})
	}

	value_ { |wanted|
		value = wanted.clip(0, 1);
		view.refresh
	}
}
