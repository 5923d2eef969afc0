TestTertiumDecoder : UnitTest {
	var decoder;

	setUp { decoder = TertiumDecoder.new }

	part { |number, count, pairs, id = \x, key = \k| ^decoder.feed(['/tertium/part', id, \event, \done, \key, key, \part, number, \parts, count] ++ pairs) }

	test_a_message_that_is_whole {
		this.assertEquals(decoder.feed(['/tertium/done', \x, \path, 'a b', \frames, 3, 'window.begin', 1.5]),
			(id: \x, event: \done, fields: (path: "a b", frames: 3, window: (begin: 1.5))))
	}

	test_parts_in_any_order {
		this.assertEquals(this.part(2, 3, [\text, 'ghi']), nil);
		this.assertEquals(this.part(0, 3, [\number, 1, \text, 'abc']), nil);
		this.assertEquals(this.part(0, 3, [\number, 1, \text, 'abc']), nil, "a part that comes twice");
		this.assertEquals(this.part(1, 3, [\text, 'def']), (id: \x, event: \done, fields: (number: 1, text: "abcdefghi")));
		this.assertEquals(this.part(1, 3, [\text, 'def']), nil, "one that comes late begins anew")
	}

	test_parts_of_different_messages {
		this.part(0, 2, [\a, 1], \x, \k);
		this.assertEquals(this.part(1, 2, [\b, 1], \y, \k), nil, "another request");
		this.assertEquals(this.part(1, 2, [\b, 1], \x, \l), nil, "another message");
		this.assertEquals(this.part(1, 2, [\b, 2], \x, \k)[\fields], (a: 1, b: 2))
	}

	test_no_more_than_64_are_kept {
		100.do { |i| this.part(0, 2, [\a, i], \x, i.asSymbol) };
		this.assertEquals(this.part(1, 2, [\b, 0], \x, '0'), nil, "the oldest is gone");
		this.assertEquals(this.part(1, 2, [\b, 0], \x, '99')[\fields], (a: 99, b: 0))
	}

	test_what_is_no_answer_is_left_out {
		this.assertEquals(decoder.feed(['/tertium/done']), nil);
		this.assertEquals(decoder.feed(['/tertium/done', \x, \path]), nil);
		this.assertEquals(decoder.feed(['/tertium/done', \x, \a, 1, 'a.b', 2]), nil);
		this.assertEquals(decoder.feed(['/tertium/done', \x, 'a.b', 1, \a, 2]), nil);
		this.assertEquals(this.part(2, 2, []), nil);
		this.assertEquals(this.part(-1, 2, []), nil);
		this.assertEquals(this.part(0, 5000, []), nil);
		this.assertEquals(this.part('a', 2, []), nil);
		this.assertEquals(decoder.feed(['/tertium/part', \x, \event, \part, \key, \k, \part, 0, \parts, 1]), nil);
		this.part(0, 2, [\a, 1]);
		this.assertEquals(this.part(1, 2, [\a, 2]), nil, "a number goes on in no other part")
	}
}
