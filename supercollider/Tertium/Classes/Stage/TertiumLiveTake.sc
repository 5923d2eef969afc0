// A take of a TertiumLive: recorded, fused, loaded, and then ready; if one of these fails, it reports the reason once.
TertiumLiveTake {
	var live, <number, <due, <state = \recording, request, <takes, <sound, path, reported = false;

	*new { |live, number, due| ^super.newCopyArgs(live, number, due) }

	isUnderway { ^#[\recording, \fusing, \loading].includes(state) }

	// whether the daemon has not answered yet
	isUnanswered { ^state == \fusing and: { request.notNil } and: { request.state == \waiting } }

	record {
		path = TertiumBufferWriter.newPath;
		live.recorder.write(path, live.prLength) { |written, error|
			if(this.isUnderway) { if(error.isNil) { this.prFuse } { this.prFail(error) } }
		}
	}

	// its bar has come and it is not ready; it may be for the next
	late {
		if(this.isUnanswered) {
			this.prReport(\no_answer, live.tertium.absence)
		} {
			this.prReport(\late, TertiumError(\deadline, "The fusion was not ready on its bar; it comes on the next one unless there is a newer fusion by then.", nil, nil, "Take fewer steps, or longer bars."))
		}
	}

	// give the take up: it is no longer needed
	abandon {
		var asked = request;
		if(this.isUnderway.not) { ^this };
		this.prEnd(\abandoned);
		asked !? { if(asked.isDone.not) { if(asked.state == \waiting) { asked.fail(TertiumError(\cancelled, "A newer take has replaced this one.")) } { asked.cancel } } }
	}

	// free what was loaded
	drop {
		takes !? _.free;
		takes = nil
	}

	prFuse {
		state = \fusing;
		request = live.prRequest(path, due, { |result| if(result.notNil and: { this.isUnderway }) { this.prLoad(result) } }, { |error| if(this.isUnderway) { this.prFail(error) } })
	}

	prLoad { |result|
		var fault = result.fault;
		if(fault.notNil) { ^this.prFail(fault) };
		sound = result;
		state = \loading;
		takes = TertiumTakes([sound], live.server);
		takes.load(true, { |loaded, error|
			case
			{ error.notNil } { this.prFail(error) }
			{ this.isUnderway } { this.prEnd(\ready); live.prReady(this) }
			{ this.drop }
		})
	}

	prFail { |error|
		takes = nil;
		this.prEnd(\failed);
		this.prReport(error.code, error)
	}

	prEnd { |argState|
		state = argState;
		live.prEnded(this);
		if(File.exists(path)) { File.delete(path) }
	}

	prReport { |reason, error|
		if(reported) { ^this };
		reported = true;
		live.prKeep(reason, error)
	}
}
