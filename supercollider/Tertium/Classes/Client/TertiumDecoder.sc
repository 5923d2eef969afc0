// The decoder of OSC messages. An answer is an Event with id, event and fields; an answer that arrives in parts is put together, in whatever order they come.
TertiumDecoder {
	var incomplete, order;

	*new { ^super.new.clear }

	clear {
		incomplete = Dictionary.new;
		order = List.new;
	}

	// the answer that a message is or completes; nil while parts are missing, or if the message is no answer
	feed { |message|
		var event = message[0].asString.drop(TertiumCommandTable.prefix.size).asSymbol, id = message[1], pairs = TertiumFields.plain(message.drop(2));
		if(id.isNil or: { pairs.isNil }) { ^this.refuse("has no id, or a name without a value") };
		^if(event == \part) { this.part(id, pairs) } { this.answer(id, event, pairs) }
	}

	answer { |id, event, pairs|
		var fields = TertiumFields.nested(pairs);
		if(fields.isNil) { ^this.refuse("has a name that is both a value and an object") };
		^(id: id, event: event, fields: fields)
	}

	part { |id, pairs|
		var head = TertiumFields.nested(pairs.keep(8)) ? Event.new, number = head[\part], count = head[\parts], event = head[\event].asSymbol, key, came;
		if([number, count].any { |value| value.isKindOf(Integer).not } or: { (number < 0) || (number >= count) || (count > TertiumCommandTable.mostParts) }) {
			^this.refuse("is a part numbered % of %".format(number, count))
		};
		if(event == \part or: { TertiumCommandTable.events.includes(event).not }) { ^this.refuse("is a part of no event") };
		key = [id, event, head[\key], count];
		came = incomplete[key] ?? { this.begin(key) };
		came[number] = pairs.drop(8);
		if(came.size < count) { ^nil };
		this.forget(key);
		pairs = this.joined(came);
		^if(pairs.isNil) { this.refuse("has parts that do not fit together") } { this.answer(id, event, pairs) }
	}

	refuse { |problem|
		"Tertium: an answer % and is ignored.".format(problem).warn;
		^nil
	}

	begin { |key|
		var came = IdentityDictionary.new;
		if(order.size >= TertiumCommandTable.mostIncomplete) { this.forget(order[0]) };
		order.add(key);
		incomplete[key] = came;
		^came
	}

	forget { |key|
		incomplete.removeAt(key);
		order.removeAt(order.detectIndex(_ == key));
	}

	// the pairs of all parts. A name that occurs again continues its text; nil if its value is no text
	joined { |came|
		var pairs = List.new, places = IdentityDictionary.new, fits = true;
		came.keys.asArray.sort.do { |number|
			came[number].pairsDo { |name, value|
				var place = places[name];
				case
				{ place.isNil } {
					places[name] = pairs.size + 1;
					pairs.add(name).add(value)
				}
				{ value.isString and: { pairs[place].isString } } { pairs[place] = pairs[place] ++ value }
				{ fits = false }
			}
		};
		^if(fits) { pairs.asArray } { nil }
	}
}
