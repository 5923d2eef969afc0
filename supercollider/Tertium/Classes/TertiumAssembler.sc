// OSC messages to answers. An answer is an Event with id, event and fields; what came in parts is put together again, whatever the order.
TertiumAssembler {
	classvar mostIncomplete = 64, mostParts = 1024;
	var incomplete, order;

	*new { ^super.new.clear }

	clear {
		incomplete = Dictionary.new;
		order = List.new;
	}

	// the answer that this message is or completes, nil while parts are missing; an Error when it is none
	feed { |message|
		var event = message[0].asString.drop("/tertium/".size).asSymbol, id = message[1], pairs = TertiumFields.plain(message.drop(2));
		if(id.isNil) { Error("it carries no id").throw };
		if(event == \part) { ^this.part(id, pairs) };
		^this.answer(id, event, pairs)
	}

	answer { |id, event, pairs| ^(id: id, event: event, fields: TertiumFields.nested(pairs)) }

	part { |id, pairs|
		var head = TertiumFields.nested(pairs.keep(8)), number = head[\part], count = head[\parts], event, key, came;
		if([number, count].any { |value| value.isKindOf(Integer).not } or: { (number < 0) || (number >= count) || (count > mostParts) }) {
			Error("a part is numbered % of %".format(number, count)).throw
		};
		event = head[\event].asSymbol;
		if(TertiumAnswers.events.includes(event).not or: { event == \part }) { Error("a part belongs to no event").throw };
		key = [id, event, head[\key], count];
		came = incomplete[key] ?? { this.begin(key) };
		came[number] = pairs.drop(8);
		if(came.size < count) { ^nil };
		this.forget(key);
		^this.answer(id, event, this.joined(came))
	}

	begin { |key|
		var came = IdentityDictionary.new;
		if(order.size >= mostIncomplete) { this.forget(order[0]) };
		order.add(key);
		incomplete[key] = came;
		^came
	}

	forget { |key|
		incomplete.removeAt(key);
		order.removeAt(order.detectIndex(_ == key));
	}

	// pairs of all parts; a name that comes again continues its text
	joined { |came|
		var pairs = List.new, places = IdentityDictionary.new;
		came.keys.asArray.sort.do { |number|
			came[number].pairsDo { |name, value|
				var place = places[name];
				if(place.isNil) {
					places[name] = pairs.size;
					pairs.add(name).add(value)
				} {
					if(value.isString.not or: { pairs[place + 1].isString.not }) { Error("two parts hold “%”, and it is no text".format(name)).throw };
					pairs[place + 1] = pairs[place + 1] ++ value
				}
			}
		};
		^pairs.asArray
	}
}
