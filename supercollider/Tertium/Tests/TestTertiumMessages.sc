TestTertiumMessages : UnitTest {
	var t;

	setUp { t = Tertium(port: 9, home: "/nowhere") }

	tearDown { t.free }

	test_only_what_is_given_is_sent {
		this.assertEquals(t.fuseMsg("/a.wav", \moth, blend: 0.4).drop(2), [\original, "/a.wav", \reference, "moth", \blend, 0.4]);
		this.assertEquals(t.statusMsg.size, 2);
		this.assertEquals(t.statusMsg[0], "/tertium/status")
	}

	test_whole_numbers_go_as_they_are {
		this.assertEquals(t.varyMsg("/a.wav", seed: 123456789.0)[5].class, Integer);
		this.assertEquals(t.varyMsg("/a.wav", seed: 123456789.0)[5], 123456789);
		this.assertEquals(t.fuseMsg("/a.wav", blend: 0.5)[5], 0.5);
		this.assertEquals(t.generateMsg("rain", seconds: 1e10)[5], 1e10)
	}

	test_a_sound_that_was_not_looked_at_can_be_printed {
		this.assertEquals(TertiumSound("/a.wav").asString, "TertiumSound(/a.wav, ? s)")
	}

	test_ids_differ {
		this.assertEquals(1000.collect { t.statusMsg[1] }.as(IdentitySet).size, 1000);
		this.assert(t.statusMsg[1].asString.size <= 64)
	}

	test_ids_do_not_follow_the_random_seed {
		var ids = 2.collect { thisThread.randSeed = 5; t.statusMsg[1] };
		this.assert(ids[0] != ids[1])
	}

	test_sounds {
		this.assertEquals(t.soundMsg('6c1f0a9b')[3], "6c1f0a9b");
		this.assertEquals(t.soundMsg("6c1f0a9be2")[3], "6c1f0a9be2", "an id");
		this.assertEquals(t.soundMsg("near.wav")[3], File.getcwd +/+ "near.wav");
		this.assertEquals(t.soundMsg("~/far.wav")[3], "~/far.wav".standardizePath);
		this.assertEquals(t.soundMsg(PathName("/a b.wav"))[3], "/a b.wav");
		this.assertEquals(t.soundMsg(SoundFile("/a.wav"))[3], "/a.wav");
		this.assertEquals(t.soundMsg(TertiumSound("/gone.wav", fields: (sound: "abcdef0123")))[3], "abcdef0123", "its file is gone");
		this.assertEquals(t.generateMsg(reference: "hum").drop(2), [\reference, "hum"], "a checkpoint's name, not a path")
	}

	test_what_cannot_be_sent {
		this.assertException({ t.fuseMsg(12, \x) }, TertiumError);
		this.assertException({ t.fuseMsg("/a", \x, steps: [1]) }, TertiumError);
		this.assertException({ t.fuseMsg("/a", \x, hold: -1.sqrt) }, TertiumError);
		this.assertException({ t.fuseMsg("/a", \x, hold: true) }, TertiumError)
	}

	test_words {
		this.assertEquals(TertiumHelp.word("null_dropout"), "nullDropout");
		this.assertEquals(TertiumHelp.protocolWord("reconstructFrom"), "reconstruct_from")
	}

	test_an_error_is_a_sentence_and_a_remedy {
		var error = TertiumError.fromFields((code: "conflict", message: "A.", field: "blend", remedy: "B."));
		this.assertEquals([error.code, error.field, error.string, error.errorString], [\conflict, \blend, "A. B.", "Tertium: A. B."]);
		this.assertEquals(TertiumError.fromFields(()).code, \internal)
	}
}
