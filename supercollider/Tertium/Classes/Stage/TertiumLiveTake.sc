// One take of a TertiumLive on its way: recorded, fused, loaded; then it is ready, or it says once why not.
TertiumLiveTake {
	var live, <number, <due, <state = \recording, request, <takes, <sound, path, told = false;

	*new { |live, number, due| ^super.newCopyArgs(live, number, due) }

	isUnderway { ^#[\recording, \fusing, \loading].includes(state) }

	// The daemon has not even said that it heard.
	isUnanswered { ^state == \fusing and: { request.notNil } and: { request.state == \waiting } }

	record {
		path = TertiumBufferWriter.newPath;
		live.ring.write(path, live.prLength) { |written, error|
			if(this.isUnderway) { if(error.isNil) { this.prFuse } { this.prFail(error) } }
		}
	}

	// Its bar came, and it is not ready; it may be for the next.
	late {
		if(this.isUnanswered) {
			this.prTell(\no_answer, live.tertium.absence)
		} {
			this.prTell(\late, TertiumError(\deadline, "The fusion was not ready on its bar; it comes on the next one, if no newer one is.", nil, nil, "Take fewer steps, or longer bars."))
		}
	}

	// Nobody wants it any more.
	abandon {
		var asked = request;
		if(this.isUnderway.not) { ^this };
		this.prEnd(\abandoned);
		asked !? { if(asked.isDone.not) { if(asked.state == \waiting) { asked.fail(TertiumError(\cancelled, "A newer take came.")) } { asked.cancel } } }
	}

	// Frees what was loaded.
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
		this.prTell(error.code, error)
	}

	prEnd { |argState|
		state = argState;
		live.prEnded(this);
		if(File.exists(path)) { File.delete(path) }
	}

	prTell { |reason, error|
		if(told) { ^this };
		told = true;
		live.prKeep(reason, error)
	}
}
