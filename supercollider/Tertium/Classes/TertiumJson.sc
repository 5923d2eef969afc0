// Reads JSON text: daemon.json, and the lists that OSC carries as text. Objects become Events, null becomes nil. Unlike parseYAML it keeps numbers
// numbers, refuses what is no JSON, and says so. Nothing is evaluated.
TertiumJson {
	classvar deepest = 32;
	var text, at, depth;

	*parse { |text| ^super.newCopyArgs(text, 0, 0).whole }

	// nil instead of an error
	*tryParse { |text| ^try { this.parse(text) } { nil } }

	whole {
		var value = this.value;
		this.skip;
		if(at < text.size) { this.refuse("more text after the end") };
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
		if(depth > deepest) { this.refuse("nested too deeply") };
		value = function.value;
		depth = depth - 1;
		^value
	}

	object {
		var event = Event.new, name;
		at = at + 1;
		if(this.ends($})) { ^event };
		while {
			this.skip;
			if(text[at] != $") { this.refuse("a name is expected") };
			name = this.string.asSymbol;
			this.skip;
			this.take($:);
			event[name] = this.value;
			this.goesOn($})
		};
		^event
	}

	list {
		var list = List.new;
		at = at + 1;
		if(this.ends($])) { ^Array.new };
		while {
			list.add(this.value);
			this.goesOn($])
		};
		^list.asArray
	}

	string {
		var pieces = "", quote, slash;
		at = at + 1;
		while {
			quote = text.find("\"", false, at) ?? { this.refuse("a text has no end") };
			slash = text.find("\\", false, at);
			slash.notNil and: { slash < quote }
		} {
			pieces = pieces ++ this.piece(slash);
			at = slash + 1;
			pieces = pieces ++ this.escaped;
		};
		pieces = pieces ++ this.piece(quote);
		at = quote + 1;
		^pieces
	}

	// from here up to an index
	piece { |end| ^if(end > at) { text.copyRange(at, end - 1) } { "" } }

	escaped {
		var char = text[at], short;
		at = at + 1;
		if(char == $u) { ^this.character };
		short = "\"\\/bfnrt".indexOf(char) ?? { this.refuse("an unknown escape") };
		^[$", $\\, $/, 8.asAscii, 12.asAscii, $\n, 13.asAscii, $\t][short].asString
	}

	// \uXXXX, or a pair of them, as UTF-8
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
			if(digit.isNil or: { "0123456789abcdefABCDEF".includes(digit).not }) { this.refuse("four hex digits are expected") };
			code = code * 16 + digit.toLower.digit;
			at = at + 1;
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
		if("^-?[0-9]+([.][0-9]+)?([eE][+-]?[0-9]+)?$".matchRegexp(word).not) { this.refuse("“" ++ word.keep(40) ++ "” is no value") };
		^if(word.every { |char| char.isDecDigit or: { char == $- } } and: { word.asFloat.abs <= 2147483647 }) { word.asInteger } { word.asFloat }
	}

	skip { while { at < text.size and: { text[at].isSpace } } { at = at + 1 } }

	take { |char|
		if(text[at] != char) { this.refuse("“" ++ char ++ "” is expected") };
		at = at + 1
	}

	// whether a list or an object ends at once
	ends { |char|
		this.skip;
		if(text[at] != char) { ^false };
		at = at + 1;
		^true
	}

	// whether a comma follows; else it must end
	goesOn { |end|
		this.skip;
		if(text[at] == $,) { at = at + 1; ^true };
		this.take(end);
		^false
	}

	refuse { |problem| Error("This is no JSON: % at character %.".format(problem, at)).throw }
}
