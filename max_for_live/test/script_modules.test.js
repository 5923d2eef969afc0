// The modules of the script are ordinary CommonJS: each can be loaded alone, without Max, and what needs neither Max nor Live can be tried so.
"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");

const SOURCES = path.resolve(__dirname, "../src");
const MODULES = ["lib", "daemon", "live", "device"].flatMap((room) => fs.readdirSync(path.join(SOURCES, room)).map((name) => `${room}/${name}`));

test("each module can be loaded alone, and exports at its end", () => {
    assert.ok(MODULES.length > 25);
    for (const name of MODULES) {
        const text = fs.readFileSync(path.join(SOURCES, name), "utf8");
        const exporting = text.match(/^.*\bexports\b.*$/gm) || [];
        assert.ok(exporting.length <= 1 && exporting.every((line) => text.endsWith(`${line}\n`)), name);
    }
    const each = "for (const path of process.argv.slice(1)) { Object.keys(require.cache).forEach((key) => delete require.cache[key]); require(path); }";
    execFileSync(process.execPath, ["-e", each, ...MODULES.map((name) => path.join(SOURCES, name))]);
});

test("paths of each system in each form", () => {
    const paths = require("../src/lib/paths");
    const each = (name, cases) => cases.forEach(([given, wanted]) => assert.equal(paths[name](given), wanted, `${name} ${given}`));
    each("systemPath", [
        ["Macintosh HD:/Users/me/a b.wav", "/Users/me/a b.wav"], ["Meine Platte:/Users/Jörg/ä.wav", "/Users/Jörg/ä.wav"],
        ["Samples:/Drums/kick.wav", "/Volumes/Samples/Drums/kick.wav"], ["/Users/me/x.wav", "/Users/me/x.wav"],
        ["C:/Users/me/x.wav", "C:/Users/me/x.wav"], ["C:\\Users\\me\\x.wav", "C:\\Users\\me\\x.wav"], ["\\\\server\\share\\x.wav", "\\\\server\\share\\x.wav"],
    ]);
    each("maxPath", [["C:\\Users\\me\\x.wav", "C:/Users/me/x.wav"], ["/Users/me/a\\b.wav", "/Users/me/a\\b.wav"]]);
    each("fileUrl", [["C:\\a b", "file:///C:/a%20b"], ["/ä", "file:///%C3%A4"]]);
    each("isAbsolute", [["/a", true], ["C:\\a", true], ["d:/a", true], ["\\\\s\\a", true], ["a.wav", false], ["", false], ["C:a", false]]);
    each("stem", [["C:\\a\\b.c.wav", "b.c"], ["/x/y", "y"], ["/x.y/z.wav", "z"]]);
    each("folderOf", [["C:\\a\\b.wav", "C:\\a"], ["/x/y.wav", "/x"]]);
    assert.equal(paths.joined("C:\\Users\\me", "a.wav"), "C:\\Users\\me\\a.wav");
    assert.equal(paths.joined("/Users/me/", "a.wav"), "/Users/me/a.wav");
    assert.ok(paths.samePath("C:\\Users\\Me\\x.wav", "c:/users/me/X.wav"));
    assert.ok(paths.samePath("/Users/J\u00f6rg/x.wav", "/Users/Jo\u0308rg/x.wav"), "composed or not");
    assert.ok(!paths.samePath("/a/x.wav", "/a/X.wav"));
});

test("the daemon's usual home is in the folder of the user whose files were seen", () => {
    const { usualHome } = require("../src/daemon/discovery");
    assert.equal(usualHome("/Users/me/Music/x.amxd"), "/Users/me/Library/Application Support/tertium");
    assert.equal(usualHome("C:/Users/Jörg/x.amxd"), "C:/Users/Jörg/AppData/Local/tertium");
    assert.equal(usualHome("/home/me/x"), "/home/me/.local/share/tertium");
    assert.equal(usualHome("/tmp/x"), "");
});

test("lines through points go on beyond their ends, curves do not, colours are mixed by their shades", () => {
    const { along, between, mixed } = require("../src/lib/interpolate");
    const points = [[0, 0], [2, 1], [4, 5]];
    assert.deepEqual([-2, 0, 1, 2, 3, 5].map((value) => along(points, 0, 1, value)), [-1, 0, 0.5, 1, 3, 7]);
    assert.deepEqual([-2, 0, 1, 2, 3, 5].map((value) => between(points, 0, 1, value)), [0, 0, 0.5, 1, 3, 5]);
    assert.deepEqual([between([], 0, 1, 1), between(points, 0, 1, NaN)], [-1, -1]);
    assert.deepEqual([0, 0.5, 1].map((part) => mixed(0x000000, 0xff8000, part)), [0x000000, 0x804000, 0xff8000]);
});

test("text of any kind becomes a line, a number, a list, or what stands in for it", () => {
    const { duration, line, listOf, number, plainName, sentence } = require("../src/lib/text");
    assert.deepEqual([number("1.5", 0), number(" ", 7), number("x", 7), number(NaN, 7), number(null, 7), number(2, 7)], [1.5, 7, 7, 7, 7, 2]);
    assert.deepEqual([listOf("[1]"), listOf([1]), listOf("{}"), listOf("["), listOf(undefined)], [[1], [1], [], [], []]);
    assert.deepEqual([line(" a\n b ", 9), line(null, 9), line("☂☂☂☂", 3)], ["a b", "", "☂☂…"]);
    assert.deepEqual([sentence("It is"), sentence("Is it?"), sentence("")], ["It is.", "Is it?", ""]);
    assert.deepEqual([duration(1.5), duration(61)], ["1.50 s", "1:01 min"]);
    assert.deepEqual([plainName("..A/B: ?\u0007."), plainName("...")], ["A-B- -", ""]);
});

test("whoever listens to a signal hears it, in order", () => {
    const { signal } = require("../src/lib/signal");
    const [heard, one] = [[], signal()];
    one.listen((value) => heard.push(["first", value]));
    one.listen((value) => heard.push(["second", value]));
    one.send(1);
    assert.deepEqual(heard, [["first", 1], ["second", 1]]);
});
