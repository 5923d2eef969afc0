// The daemon's description of itself, in the post window.
TertiumHelp {
	*post { |commands, inShort = false| commands.do { |command| if(inShort) { this.summary(command).postln } { this.text(command).postln } } }

	*summary { |command| ^"%: %".format(command[\name].padRight(18), command[\summary]) }

	*text { |command|
		^([this.summary(command)] ++ command[\parameters].collect { |parameter| "    " ++ this.parameter(parameter) }).join("\n")
	}

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

	// the protocol's word as SuperCollider writes it: sample_rate is sampleRate
	*word { |name|
		var words = name.asString.split($_);
		^words[0] ++ words.drop(1).collect { |word| word[0].toUpper ++ word.drop(1) }.join
	}
}
