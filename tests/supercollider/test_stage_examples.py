"""The examples for the stage, as they are, with the embedded model and a real server."""

import pytest

from tests.supercollider import jack, sclang

EXAMPLES = sclang.QUARK / "examples"
pytestmark = [jack.needs("sclang", "scsynth", "jackd"), pytest.mark.timeout(300)]

STAGE = """
s = Server.remote(\\stage, NetAddr("127.0.0.1", "TERTIUM_TEST_PORT".getenv.asInteger), ServerOptions.new.maxLogins_(8));
Server.default = s;
~until = { |condition| var left = 1200; while { condition.value.not and: { left > 0 } } { 0.1.wait; left = left - 1 }; left > 0 };
fork {
    while { s.serverRunning.not or: { s.clientID.isNil } } { 0.1.wait };
    ~block.(%EXAMPLE%).interpret;
    %PLAYED%
    0.exit
};
"""


def test_a_morph(perform):
    said = perform("4-morph.scd", """
        ~tell.(\\played, ~until.({ ~morph.notNil and: { ~morph.isPlaying } }));
        ~tell.(\\takes, ~morph.count);
        ~morph.position = 1; 0.5.wait;
        ~peak = 0; OSCdef(\\peak, { |message| ~peak = max(~peak, message[3]) }, '/peak');
        { SendReply.kr(Impulse.kr(20), '/peak', Amplitude.kr(In.ar(0, 2), 0.001, 0.5).sum / 2); Silent.ar }.play(addAction: \\addToTail);
        3.wait;
        ~tell.(\\peak, ~peak.round(0.001));
        ~morph.free; ~wanderer.free; ~wander.free;
    """)  # fmt: skip
    assert said.value("played") is True
    assert said.value("takes") == 6
    assert 0.01 < said.value("peak") <= 1.0


def test_a_live_set(perform):
    said = perform("5-live-set.scd", """
        ~tell.(\\swaps, ~until.({ ~live.notNil and: { ~live.swapped > 2 } }));
        CmdPeriod.run; 0.5.wait;
        ~tell.(\\playing, ~live.isPlaying);
        ~live.free;
    """)  # fmt: skip
    assert said.value("swaps") is True, said.said
    assert said.value("playing") is False
    assert said.said.count("\nbar: ") >= 3


@pytest.fixture
def perform(tmp_path, pocket):
    def performed(example, played):
        with jack.playing(tmp_path) as server:
            script = STAGE.replace("%EXAMPLE%", sclang.scd_string(str(EXAMPLES / example))).replace("%PLAYED%", played)
            (tmp_path / "sclang").mkdir()
            environment = {"TERTIUM_HOME": str(pocket.home), "TERTIUM_TEST_PORT": str(server.port)}
            return sclang.run(script, tmp_path / "sclang", limit=240, environment=environment).check()

    return performed
