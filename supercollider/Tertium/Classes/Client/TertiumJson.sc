// A JSON reader, for daemon.json and for the lists that OSC carries as text. Objects become Events, null becomes nil. Unlike parseYAML it keeps numbers as
// numbers and refuses text that is no JSON. Nothing is evaluated.
//
// Errors are noted, not thrown: in sclang the values of an expression that an error interrupts stay on the stack and spoil the caller's expression.
TertiumJson {
	classvar deepest = 32;
	var text, at, depth, <fault;

	// the value; throws an Error if the text is no JSON
	*parse { |text|
		var reader = this.new(text), value = reader.whole;
		if(reader.fault.notNil) { Error(reader.fault).throw };
		^value
	}

	// the value; nil if the text is no JSON
	*tryParse { |text|
		var reader = this.new(text), value = reader.whole;
		^if(reader.fault.isNil) { value } { nil }
	}

	*new { |text| ^super.newCopyArgs(text, 0, 0) }

	whole {
		var value = this.value;
		this.skip;
		if(fault.isNil and: { at < text.size }) { this.refuse("more text after the end") };
		^value
	}

	value {
		var char;
		this.skip;
		char = text[at];
		^case
		{ char == ${ } { this.nested { this.object } }
		{ char == $[ } { this.nested { this.list } }
		{ char == $" } { this.string }
		{ char.isNil } { this.refuse("the text ends too soon") }
		{ this.word }
	}

	nested { |function|
		var value;
		depth = depth + 1;
		value = if(depth > deepest) { this.refuse("nested too deeply") } { function.value };
		depth = depth - 1;
		^value
	}

	object {
		var event = Event.new, name, value;
		at = at + 1;
		if(this.ends($})) { ^event };
		while {
			this.skip;
			if(text[at] != $") { ^this.refuse("a name is expected") };
			name = this.string;
			this.skip;
			this.take($:);
			value = this.value;
			if(fault.isNil) { event[name.asSymbol] = value };
			this.goesOn($})
		};
		^event
	}

	list {
		var list = List.new, value;
		at = at + 1;
		if(this.ends($])) { ^Array.new };
		while {
			value = this.value;
			list.add(value);
			this.goesOn($])
		};
		^list.asArray
	}

	string {
		var pieces = "", quote, slash;
		at = at + 1;
		while {
			quote = text.find("\"", false, at);
			slash = text.find("\\", false, at);
			fault.isNil and: { quote.notNil } and: { slash.notNil } and: { slash < quote }
		} {
			pieces = pieces ++ this.piece(slash);
			at = slash + 1;
			pieces = pieces ++ this.escaped;
		};
		if(quote.isNil) { ^this.refuse("a text has no end") };
		pieces = pieces ++ this.piece(quote);
		at = quote + 1;
		^pieces
	}

	// the text from here up to an index
	piece { |end| ^if(end > at) { text.copyRange(at, end - 1) } { "" } }

	escaped {
		var char = text[at], short;
		at = at + 1;
		if(char == $u) { ^this.character };
		short = char !? { "\"\\/bfnrt".indexOf(char) };
		if(short.isNil) { ^this.refuse("an unknown escape") };
		^[$", $\\, $/, 8.asAscii, 12.asAscii, $\n, 13.asAscii, $\t][short].asString
	}

	// the character of \uXXXX, or of a surrogate pair, as UTF-8
	character {
		var code = this.hex, low;
		if(code.inclusivelyBetween(0xD800, 0xDBFF) and: { text[at] == $\\ } and: { text[at + 1] == $u }) {
			at = at + 2;
			low = this.hex;
			code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
		};
		^this.class.utf8(code)
	}

	hex {
		var code = 0;
		4.do {
			var digit = text[at];
			if(digit.isNil or: { "0123456789abcdefABCDEF".includes(digit).not }) { this.refuse("four hex digits are expected") } {
				code = code * 16 + digit.toLower.digit;
				at = at + 1
			}
		};
		^code
	}

	*utf8 { |code|
		var bytes = case
		{ code < 0x80 } { [code] }
		{ code < 0x800 } { [0xC0 | (code >> 6), 0x80 | (code & 0x3F)] }
		{ code < 0x10000 } { [0xE0 | (code >> 12), 0x80 | ((code >> 6) & 0x3F), 0x80 | (code & 0x3F)] }
		{ [0xF0 | (code >> 18), 0x80 | ((code >> 12) & 0x3F), 0x80 | ((code >> 6) & 0x3F), 0x80 | (code & 0x3F)] };
		^String.newFrom(bytes.collect(_.asAscii))
	}

	word {
		var start = at, word;
		while { at < text.size and: { ",]} \t\n\r".includes(text[at]).not } } { at = at + 1 };
		word = this.class.copyOf(text, start, at);
		^switch(word)
		{ "true" } { true }
		{ "false" } { false }
		{ "null" } { nil }
		{ this.number(word) }
	}

	*copyOf { |text, start, end| ^if(end > start) { text.copyRange(start, end - 1) } { "" } }

	number { |word|
		if("^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$".matchRegexp(word).not) { ^this.refuse("“" ++ word.keep(40) ++ "” is no value") };
		^if(word.every { |char| char.isDecDigit or: { char == $- } } and: { word.asFloat.abs <= 2147483647 }) { word.asInteger } { word.asFloat }
	}

	skip { while { at < text.size and: { text[at].isSpace } } { at = at + 1 } }

	take { |char|
		if(text[at] != char) { this.refuse("“" ++ char ++ "” is expected") } { at = at + 1 }
	}

	// whether a list or an object is empty
	ends { |char|
		this.skip;
		if(text[at] != char) { ^false };
		at = at + 1;
		^true
	}

	// whether a comma follows; if not, the list or object must end
	goesOn { |end|
		this.skip;
		if(fault.notNil) { ^false };
		if(text[at] == $,) { at = at + 1; ^true };
		this.take(end);
		^false
	}

	// note the first fault; what is read after it is ignored
	refuse { |problem|
		fault = fault ?? { "This is no JSON: % at character %.".format(problem, at) };
		^nil
	}
}
