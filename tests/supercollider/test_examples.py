"""The examples, run as they are, by a real sclang on a real server against the pocket model."""

import pytest

from tests.supercollider import jack, sclang

pytestmark = [jack.needs("scsynth", "jackd"), pytest.mark.skipif(sclang.SCLANG is None, reason=sclang.MISSING)]
EXAMPLES = sclang.QUARK / "examples"
SOUNDS = sclang.QUARK.parents[1] / "server/tertium/assets/demo"

# example: what is set before, what shows that it did what it says
PATCHES = {
    "1-first-sound.scd": ("", "~playing.notNil and: { ~third.check }"),
    "2-record-and-fuse.scd": ("~seconds = 1;", "~playing.notNil and: { ~third.check } and: { ~third.duration == 1 }"),
    "3-takes-in-sequence.scd": (
        f'~count = 3; ~original = "{SOUNDS}/safari_drums.flac"; ~reference = "{SOUNDS}/haunted_hum.flac";',
        "~takes.size == 3 and: { ~takes.every(_.check) } and: { ~playing.notNil }",
    ),
}


@pytest.mark.parametrize("name", PATCHES)
def test_an_example_does_what_it_says(play, pocket, tmp_path, name):
    before, shown = PATCHES[name]
    with jack.playing(tmp_path) as server:
        run = play(
            f"""
            var blocks;
            s = Server.remote(\\live, NetAddr("127.0.0.1", {server.port}));
            Server.default = s;
            {before}
            while {{ s.serverRunning.not }} {{ 0.05.wait }};
            ~block.("{EXAMPLES / name}").interpret;
            while {{ ({shown}).not }} {{ 0.05.wait }};
            0.3.wait;
            ~tell.(\\shown, {shown});
            """,
            home=False,
            limit=90,
            environment={"TERTIUM_HOME": str(pocket.home)},
        )
    assert run.value("shown") is True


def test_every_example_is_run_by_a_test():
    found = {path.name for path in EXAMPLES.glob("*.scd")}
    assert set(PATCHES) <= found
    assert {name[0] for name in found} <= set("12345") and len(found) == len({name[0] for name in found})
