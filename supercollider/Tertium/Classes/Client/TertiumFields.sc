// The fields of a message. OSC carries them as an array of names and values; programs read them as an Event, with Events in it for objects.
TertiumFields {
	// the pairs with names as Symbols and texts as Strings; nil if a name has no value
	*plain { |pairs|
		if(pairs.size.odd) { ^nil };
		^pairs.collect { |item, index|
			if(index.even) { item.asSymbol } { if(item.isKindOf(Symbol)) { item.asString } { item } }
		}
	}

	// the pairs as an Event, dotted names as Events in it; nil if a name is both a value and an object
	*nested { |pairs|
		var fields = Event.new, clash = false;
		pairs.pairsDo { |name, value|
			var path = name.asString.split($.), inner = fields;
			path.drop(-1).do { |step|
				var key = step.asSymbol;
				if(inner[key].isNil) { inner[key] = Event.new };
				if(inner[key].isKindOf(Event)) { inner = inner[key] } { clash = true };
			};
			if(inner[path.last.asSymbol].isKindOf(Event)) { clash = true };
			inner[path.last.asSymbol] = value
		};
		^if(clash) { nil } { fields }
	}

	// the same fields, with lists in place of their JSON text
	*withLists { |fields|
		^fields.collect { |value, name|
			case
			{ value.isKindOf(Event) } { this.withLists(value) }
			{ TertiumCommandTable.lists.includes(name) and: { value.isString } } { TertiumJson.tryParse(value) ? value }
			{ value }
		}
	}

	// the pairs without those whose value is nil; a TertiumError if a value cannot be sent
	*checked { |pairs|
		var checked = List.new, error;
		pairs.pairsDo { |name, value|
			var sent = this.sendable(value);
			case
			{ value.isNil } {}
			{ value.isKindOf(TertiumError) } { error = error ? value }
			{ sent.isNil } { error = error ?? { this.refusal(name, value) } }
			{ checked.add(name).add(sent) }
		};
		^error ?? { checked.asArray }
	}

	// a value in a type that OSC carries; nil if there is none
	*sendable { |value|
		^case
		{ value.isKindOf(Symbol) or: { value.isString } } { value.asString }
		{ value.isKindOf(Integer) } { value }
		// a whole number, since OSC has floats of 32 bits: a seed of 123456789.0 would arrive as another
		{ value.isFloat and: { value.frac == 0 } and: { value.abs <= 2147483647 } } { value.asInteger }
		{ value.isFloat and: { value.isNaN.not } and: { value.abs < inf } } { value }
		{ nil }
	}

	*refusal { |name, value|
		^TertiumError(\bad_type, "% must be a number or a text; got %.".format(name, value.asCompileString.keep(80)), name, nil, "See t.help.")
	}
}
