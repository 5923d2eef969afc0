// A small round light.
TertiumLight {
	var <view, <color;

	*new { |size = 14| ^super.new.build(size) }

	build { |size|
		color = Color.grey;
		view = UserView().fixedSize_(Size(size, size)).drawFunc_({
			Pen.fillColor = color;
			Pen.fillOval(Rect(1, 1, size - 2, size - 2))
		})
	}

	color_ { |wanted|
		color = wanted;
		view.refresh
	}
}

// A thin bar that fills from the left.
TertiumBar {
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
