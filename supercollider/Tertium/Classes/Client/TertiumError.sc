// An error: a code from the protocol's closed list (or one of the Quark's own), a sentence, and a remedy.
TertiumError : Error {
	classvar <ownCodes;
	var <code, <message, <field, <value, <remedy;

	*initClass { ownCodes = #[\no_answer, \bad_result, \server, \superseded] }

	*new { |code = \internal, message = "", field, value, remedy|
		^super.new(message).setFields(code.asSymbol, message, field, value, remedy)
	}

	// an error from the fields of an answer
	*fromFields { |fields|
		^this.new(fields[\code] ? \internal, fields[\message] ? "The daemon gave no reason.", fields[\field] !? _.asSymbol, fields[\value], fields[\remedy])
	}

	setFields { |argCode, argMessage, argField, argValue, argRemedy|
		code = argCode;
		message = argMessage;
		field = argField;
		value = argValue;
		remedy = argRemedy;
	}

	// the sentence and the remedy
	string { ^if(remedy.isNil) { message } { message + remedy } }

	errorString { ^"Tertium:" + this.string }

	// post it as one line
	post { this.errorString.warn }

	printOn { |stream| stream << this.class.name << "(" << code << ": " << this.string << ")" }
}
