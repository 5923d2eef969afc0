TestTertiumJson : UnitTest {
	test_values {
		[
			["1", 1], ["-7", -7], ["0.5", 0.5], ["1e3", 1000.0], ["-2.5E-2", -0.025], ["2147483647", 2147483647], ["4294967296", 4294967296.0],
			["true", true], ["false", false], ["\"\"", ""], ["\"a\"", "a"], [" [ ] ", []], ["[1,2]", [1, 2]], ["{}", ()],
			["{\"a\": {\"b\": [1, \"x\"]}}", (a: (b: [1, "x"]))]
		].do { |pair|
			this.assertEquals(TertiumJson.parse(pair[0]), pair[1], pair[0]);
			this.assert(TertiumJson.parse(pair[0]).class == pair[1].class, pair[0] + "keeps its kind")
		}
	}

	test_null_is_absent {
		this.assertEquals(TertiumJson.parse("{\"a\": null, \"b\": 1}"), (b: 1));
		this.assertEquals(TertiumJson.parse("[null, 1]"), [nil, 1])
	}

	test_escapes {
		this.assertEquals(TertiumJson.parse("\"a\\\"b\\\\c\\/d\\ne\\tf\""), "a\"b\\c/d\ne\tf");
		this.assertEquals(TertiumJson.parse("\"\\u00fc \\u2602 \\ud83d\\ude00\""), "ü ☂ 😀");
		this.assertEquals(TertiumJson.parse("\"ü ☂ 😀\""), "ü ☂ 😀")
	}

	test_what_is_no_json_is_refused {
		[
			"", " ", "{", "[1,", "[1 2]", "{\"a\"}", "{\"a\": }", "{a: 1}", "\"no end", "\"\\x\"", "\"\\u12\"", "nul", "01x", "1 2", "[1]]", "'a'", "+1", "NaN",
			String.fill(200, $[)
		].do { |text|
			this.assertEquals(TertiumJson.tryParse(text), nil, text.keep(20));
			this.assertException({ TertiumJson.parse(text) }, Error, text.keep(20) + "is an error")
		}
	}

	// in sclang what is thrown leaves traces on the stack of the caller, in the midst of its expression
	test_a_refusal_spoils_no_expression_around_it {
		this.assertEquals([1, TertiumJson.tryParse("[[1, {\"a\": [2, x"), 3], [1, nil, 3]);
		this.assertEquals("a" ++ TertiumJson.tryParse("{\"a\": ]") ++ "b", "anilb")
	}

	test_long_texts {
		var text = "[" ++ 3000.collect { |i| "{\"intervention\": %, \"original\": 0.123456789}".format(i) }.join(",") ++ "]", read = TertiumJson.parse(text);
		this.assertEquals(read.size, 3000);
		this.assertEquals(read.last[\intervention], 2999)
	}
}
