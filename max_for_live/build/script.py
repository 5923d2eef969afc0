"""Links the modules of ``src/`` into the one script that lies in the device: ``python -m max_for_live.build.script`` prints it.

Each module becomes a function that is run once, after those that it requires. ``main.js`` comes last and stays at the top level,
since Max finds what it calls there. Max has a ``require`` of its own, which looks for files, so none is left in the script.
"""

import re
import sys
from pathlib import Path
from posixpath import dirname, join, normpath

SOURCES = Path(__file__).parents[1] / "src"
MAIN = "main"
_REQUIRE = re.compile(r'\brequire\("?([^")]*)"?\)')


def linked(sources=SOURCES):
    """The text of the script."""
    parts = ["// Linked from src/ by max_for_live/build/script.py: edit the modules there.\n\nconst linked = {};\n"]
    for name in order(sources):
        text = _REQUIRE.sub(lambda found, name=name: f'linked["{_resolved(name, found[1])}"]', _text(sources, name))
        if name != MAIN:
            text = (
                f'linked["{name}"] = (function (module) {{\n{text}return module.exports;\n}})({{ exports: {{}} }});\n'
            )
        parts.append(f"// ===== {name}.js =====\n{text}")
    return "\n".join(parts)


def order(sources=SOURCES):
    """The names of the modules that main needs, each after those that it requires.

    Raises:
        ValueError: a module requires one that is not there, or itself in a circle.
    """
    done = []

    def visit(name, way):
        if name in way:
            raise ValueError(f"Modules require each other in a circle: {' → '.join([*way[way.index(name) :], name])}.")
        if name not in done:
            for wanted in requires(sources, name):
                if not (sources / f"{wanted}.js").is_file():
                    raise ValueError(f"{name}.js requires {wanted}, which is not in {sources.name}/.")
                visit(wanted, [*way, name])
            done.append(name)

    visit(MAIN, [])
    return done


def requires(sources, name):
    """The names of the modules that a module requires."""
    return [_resolved(name, path) for path in _REQUIRE.findall(_text(sources, name))]


def _resolved(name, path):
    return normpath(join(dirname(name), path))


def _text(sources, name):
    return (sources / f"{name}.js").read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.buffer.write(linked().encode())
