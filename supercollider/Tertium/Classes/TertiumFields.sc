// The fields of messages: as OSC carries them, an array of names and values; as programs read them, an Event of Events.
TertiumFields {
	classvar <lists;

	// names of fields that are lists, which OSC carries as JSON text
	*initClass { lists = IdentitySet[\notes, \takes, \points, \ratios, \parameters, \transports] }

	// names as Symbols, texts as Strings
	*plain { |pairs|
		if(pairs.size.odd) { Error("“%” has no value".format(pairs.last)).throw };
		^pairs.collect { |item, index|
			if(index.even) { item.asSymbol } { if(item.isKindOf(Symbol)) { item.asString } { item } }
		}
	}

	// dotted names put back into Events
	*nested { |pairs|
		var fields = Event.new;
		pairs.pairsDo { |name, value|
			var path = name.asString.split($.), inner = fields;
			path.drop(-1).do { |step|
				inner = inner[step.asSymbol] ?? { inner[step.asSymbol] = Event.new; inner[step.asSymbol] };
				if(inner.isKindOf(Event).not) { Error("“%” is both a value and an object".format(name)).throw };
			};
			inner[path.last.asSymbol] = value
		};
		^fields
	}

	// the same fields with their lists read
	*withLists { |fields|
		^fields.collect { |value, name|
			case
			{ value.isKindOf(Event) } { this.withLists(value) }
			{ lists.includes(name) and: { value.isString } } { TertiumJson.tryParse(value) ? value }
			{ value }
		}
	}

	// [name, value, …] without what is nil, each value fit to be sent; throws a TertiumError
	*checked { |pairs|
		var checked = List.new;
		pairs.pairsDo { |name, value| if(value.notNil) { checked.add(name).add(this.checkedValue(name, value)) } };
		^checked.asArray
	}

	*checkedValue { |name, value|
		^case
		{ value.isKindOf(Symbol) or: { value.isString } } { value.asString }
		{ value.isKindOf(Integer) } { value }
		{ value.isFloat and: { value.isNaN.not } and: { value.abs < inf } } { value }
		{
			TertiumError(\bad_type, "% must be a number or a text; got %.".format(name, value.asCompileString.keep(80)), name, nil, "See t.help.").throw
		}
	}
}
