// The help text of commands, made from the daemon's own description.
TertiumHelp {
	*post { |commands, inShort = false| commands.do { |command| if(inShort) { this.summary(command).postln } { this.text(command).postln } } }

	*summary { |command| ^"% %".format(this.word(command[\name]).padRight(18), command[\summary]) }

	*text { |command|
		var order = this.order(command[\name]), parameters = command[\parameters].copy;
		parameters.sort { |a, b| this.place(order, a) < this.place(order, b) };
		^([this.summary(command)] ++ parameters.collect { |parameter| "    " ++ this.parameter(parameter) }).join("\n")
	}

	// the arguments of a command's method
	*order { |name| ^Tertium.findMethod(this.word(name).asSymbol) !? _.argNames ? [] }

	*place { |order, parameter| ^order.indexOf(this.word(parameter[\name]).asSymbol) ? inf }

	*parameter { |parameter|
		var facts = [parameter[\type], this.range(parameter), this.default(parameter)].reject(_.isNil).join(", ");
		^"% (%): %".format(this.word(parameter[\name]), facts, parameter[\help])
	}

	*range { |parameter|
		var range = case
		{ parameter[\choices].notNil } { parameter[\choices].join(" or ") }
		{ parameter[\minimum].notNil } { "% … %".format(parameter[\minimum], parameter[\maximum]) }
		{ parameter[\longest].notNil } { "at most % characters".format(parameter[\longest]) };
		^if((parameter[\unit] ? "").isEmpty) { range } { range ++ " " ++ parameter[\unit] }
	}

	*default { |parameter|
		^case
		{ parameter[\required] == 1 or: { parameter[\required] == true } } { "required" }
		{ parameter[\absent].notNil } { "else " ++ parameter[\absent] }
		{ parameter[\default].notNil } { "else " ++ parameter[\default] }
	}

	// a name in the protocol's spelling: sampleRate is sample_rate
	*protocolWord { |name|
		^name.asString.as(Array).collect { |char| if(char.isUpper) { "_" ++ char.toLower } { char.asString } }.join
	}

	// a name in SuperCollider's spelling: sample_rate is sampleRate
	*word { |name|
		var words = name.asString.split($_);
		^words[0] ++ words.drop(1).collect { |word| word[0].toUpper ++ word.drop(1) }.join
	}
}
