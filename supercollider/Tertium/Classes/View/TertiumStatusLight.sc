// A status light: a small coloured circle.
TertiumStatusLight {
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
