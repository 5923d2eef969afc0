"""Help: a page for each class, every public method on it, no page with mistakes; and the Quark installs as quarks do."""

import re
from pathlib import Path

import pytest

from tests.supercollider import sclang

CLASSES = sorted(
    name for path in (sclang.QUARK / "Classes").rglob("*.sc")
    for name in re.findall(r"^([A-Z]\w*)(?: : \w+)? \{", path.read_text(encoding="utf-8"), re.MULTILINE)
)  # fmt: skip
PRIVATE = re.compile("pr[A-Z]")
"""How SuperCollider's own classes name what is theirs alone."""
GUIDES = ["Guides/First-fused-sound"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    names = ", ".join(f'"{name}"' for name in [*(f"Classes/{name}" for name in CLASSES), *GUIDES])
    script = f"""
        SCDoc.indexAllDocuments(true);
        [{names}].do {{ |name|
            var doc = SCDoc.documents[name];
            ~tell.(name, doc !? {{ (
                missing: doc.isUndocumentedClass == true, cmethods: doc.undoccmethods.asArray ? [], imethods: doc.undocimethods.asArray ? [],
                summary: doc.summary, privates: (doc.privimethods.asArray ? []) ++ (doc.privcmethods.asArray ? [])
            ) }});
            "RENDERED %".format(name).postln;
            doc !? {{ SCDoc.parseAndRender(doc) }};
        }};
        "RENDERED all".postln;
        0.exit;
    """
    return sclang.run(script, tmp_path_factory.mktemp("help")).check()


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_page_with_every_public_method(run, name):
    page = run.value(f"Classes/{name}")
    assert page and not page["missing"], f"write HelpSource/Classes/{name}.schelp"
    undocumented = [method for method in page["cmethods"] + page["imethods"] if not PRIVATE.match(method)]
    assert undocumented == [], "document them, list them under PRIVATE::, or begin their names with pr"
    assert page["summary"]


@pytest.mark.parametrize("name", GUIDES)
def test_the_guide_is_there(run, name):
    assert run.value(name)["summary"]


@pytest.mark.parametrize("name", [*(f"Classes/{name}" for name in CLASSES), *GUIDES])
def test_pages_have_no_mistakes(run, name):
    lines = run.said.split(f"RENDERED {name}\n")[1].split("RENDERED ")[0].splitlines()
    said = "\n".join(line for line in lines if not line.startswith("TOLD "))
    assert not re.search("WARNING|ERROR|error", said), said


def test_what_is_listed_as_private_exists(run):
    for name in CLASSES:
        page = (sclang.QUARK / f"HelpSource/Classes/{name}.schelp").read_text(encoding="utf-8")
        code = "\n".join(path.read_text(encoding="utf-8") for path in (sclang.QUARK / "Classes").rglob("*.sc"))
        for method in re.findall(r"\w+", " ".join(re.findall("^PRIVATE:: (.*)$", page, re.MULTILINE))):
            assert re.search(rf"\b{method}\b", code), f"{name}: {method}"


def test_the_public_face_is_not_hidden(run):
    for name, hidden in (
        ("Tertium", {"greeted", "overhear", "refuse"}),
        ("TertiumSound", {"refusal", "newBuffer"}),
        ("TertiumWindow", set()),
    ):
        assert set(run.value(f"Classes/{name}")["privates"]) == hidden


def test_the_quark_installs_from_its_folder(tmp_path):
    """As the README says, in a home where nothing is: then the classes are there, and so is the help."""
    if sclang.SCLANG is None:
        pytest.skip(sclang.MISSING)
    install = f"""
        ~tell.(\\before, \\Tertium.asClass.isNil);
        Quarks.install("{sclang.QUARK}");
        ~tell.(\\installed, Quarks.installed.collect(_.name));
        ~tell.(\\path, Quarks.installed.collect(_.localPath));
        LanguageConfig.store;
        ~tell.(\\config, Platform.userConfigDir +/+ "sclang_conf.yaml");
        ~tell.(\\paths, LanguageConfig.includePaths);
        ~quark = Quarks.installed[0];
        ~tell.(\\about, (name: ~quark.name, version: ~quark.data[\\version], summary: ~quark.summary));
        0.exit;
    """
    first = sclang.run(install, tmp_path / "first", quark=False).check()
    assert first.value("before") is True
    assert first.value("installed") == ["Tertium"] and first.value("path") == [str(sclang.QUARK)]
    assert first.value("about")["name"] == "Tertium" and first.value("about")["version"]
    assert str(sclang.QUARK) in [path.rstrip("/") for path in first.value("paths")]
    again = sclang.run(
        "~tell.(\\class, Tertium.version); ~tell.(\\help, SCDoc.helpSourceDirs.any { |dir| dir.contains(\"Tertium\") }); 0.exit",
        tmp_path / "again", quark=False, include=[path.rstrip("/") for path in first.value("paths")],
    ).check()  # fmt: skip
    assert again.value("class") == first.value("about")["version"]


def test_versions_agree():
    root = Path(__file__).parents[2]
    declared = re.search(r'^version = "(.+)"', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)[1]
    quark = re.search(r'version: "(.+)"', (sclang.QUARK / "Tertium.quark").read_text(encoding="utf-8"))[1]
    client = re.search(r'version = "(.+?)"', (sclang.QUARK / "Classes/Client/Tertium.sc").read_text(encoding="utf-8"))[
        1
    ]
    assert declared == quark == client
