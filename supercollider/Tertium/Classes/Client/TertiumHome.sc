// The daemon's folder, and the daemon.json in it that describes a running daemon.
TertiumHome {
	classvar <file = "daemon.json";

	// the folder in TERTIUM_HOME, else tertium in the user's data folder
	*default {
		var named = "TERTIUM_HOME".getenv;
		if(named.notNil and: { named.size > 0 }) { ^named.standardizePath };
		^Platform.case(
			\osx, { "~/Library/Application Support/tertium".standardizePath },
			\windows, { ("LOCALAPPDATA".getenv ? "~/AppData/Local".standardizePath) +/+ "tertium" },
			{ this.dataFolder +/+ "tertium" }
		)
	}

	*dataFolder {
		var named = "XDG_DATA_HOME".getenv;
		^if(named.notNil and: { named.size > 0 }) { named } { "~/.local/share".standardizePath }
	}

	// the content of daemon.json, an Event; nil if there is none, or none that can be read
	*read { |home|
		var path = (home ?? { this.default }) +/+ file, facts;
		if(File.exists(path).not) { ^nil };
		facts = TertiumJson.tryParse(File.readAllString(path));
		^if(facts.isKindOf(Event)) { facts } { nil }
	}

	// [host, port] for OSC; nil if not known
	*endpoint { |facts|
		var osc = facts !? { facts[\osc] };
		^if(osc.isArray and: { osc.size == 2 } and: { osc[0].isString } and: { osc[1].isKindOf(Integer) }) { osc } { nil }
	}
}
