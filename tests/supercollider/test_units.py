"""The Quark's own unit tests, run by the real sclang."""

import re

import pytest

from tests.supercollider import sclang

TESTS = [
    (path.stem, name)
    for path in sorted((sclang.QUARK / "Tests").glob("*.sc"))
    for name in re.findall(r"^\t(test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
]
SCRIPT = """
var names = [%NAMES%], failed = 0, passed = 0;
UnitTest.reportPasses = false;
fork {
    names.do { |name|
        var class = name.asSymbol.asClass;
        class.findTestMethods.do { |method|
            var before = UnitTest.failures.size, test = class.new, error;
            try { test.runTestMethod(method) } { |problem| error = problem.errorString };
            if(error.isNil and: { UnitTest.failures.size == before }) { passed = passed + 1 } { failed = failed + 1 };
            ~tell.(name ++ " " ++ method.name, (error ? "") ++ UnitTest.failures.asArray.drop(before).collect { |each| each.message.asString }.join("; "));
        }
    };
    "% passed, % failed".format(passed, failed).postln;
    (if(failed > 0 or: { passed == 0 }) { 1 } { 0 }).exit
};
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    names = ", ".join(f'"{name}"' for name in dict.fromkeys(name for name, _ in TESTS))
    return sclang.run(SCRIPT.replace("%NAMES%", names), tmp_path_factory.mktemp("units"), errors=True)


@pytest.mark.parametrize(("case", "test"), TESTS)
def test_unit(run, case, test):
    assert run.value(f"{case} {test}") == ""


def test_all_of_them_ran(run):
    run.check()
    assert re.search(rf"^{len(TESTS)} passed, 0 failed$", run.said, re.MULTILINE)
