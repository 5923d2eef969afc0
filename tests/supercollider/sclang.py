"""A real sclang for tests: it runs a script with the Quark, without a screen, and cannot hang."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUARK = ROOT / "supercollider/Tertium"
MISSING = "sclang is not installed (Debian: apt install supercollider-language supercollider-server)"
SCLANG = shutil.which("sclang")
LIMIT = 120.0

PRELUDE = Path(__file__).with_name("prelude.scd")
ENDINGS = ("Library has not been compiled successfully", "ERROR: ")


class Ended:
    """What a run of sclang left behind: its exit ``status`` and all that it ``said``."""

    def __init__(self, status: int | None, said: str):
        self.status = status
        self.said = said

    def check(self):
        """Fail, with all that was said, unless it ended well."""
        assert self.status == 0, f"sclang ended with {self.status}:\n{self.said}"
        return self

    def values(self, name: str) -> list:
        """What the script told under a name, in order."""
        return [json.loads(text) for text in re.findall(rf"^TOLD {re.escape(name)}: (.*)$", self.said, re.MULTILINE)]

    def value(self, name: str):
        """What the script told last under a name."""
        found = self.values(name)
        assert found, f"sclang never told {name}:\n{self.said}"
        return found[-1]


class Sclang:
    """An sclang that is running.

    Args:
        script: path of a .scd file, or code.
        folder: an empty folder for its home, its configuration and its scripts.
        limit: seconds after which it ends by itself; it is killed some seconds later.
        include: further folders of classes.
        environment: what its environment has beyond ours.
        screen: Qt's platform.
        quark: whether the Quark's classes are there.
        errors: whether an error in the post window is expected; else it ends the run.
    """

    def __init__(
        self, script, folder, *, limit=LIMIT, include=(), environment=None, screen="offscreen", quark=True, errors=False
    ):
        folder = Path(folder)
        self.home = folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        path = Path(script) if isinstance(script, Path) else None
        if path is None:
            path = folder / "script.scd"
            path.write_text(script, encoding="utf-8")
        outer = folder / "outer.scd"
        loads = "".join(f"{scd_string(str(each))}.load;\n" for each in (PRELUDE, path))
        outer.write_text(f"~limit = {limit};\n{loads}", encoding="utf-8")
        paths = [*([QUARK] if quark else []), *include]
        listed = "includePaths:\n" + "".join(f"    - {each}\n" for each in paths) if paths else "includePaths: []\n"
        (folder / "conf.yaml").write_text(listed + "excludePaths: []\npostInlineWarnings: false\n", encoding="utf-8")
        self._lines: list[str] = []
        self._heard = threading.Condition()
        self._over = False
        self._endings = ENDINGS[:1] if errors else ENDINGS
        self._stop = threading.Timer(limit + 15, self.kill)
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", SCLANG, "-i", "none", "-l", str(folder / "conf.yaml"), str(outer)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            env=self._environment(screen, environment or {}),
        )  # fmt: skip
        self._stop.daemon = True
        self._stop.start()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _environment(self, screen, more):
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "TERTIUM_"))}
        forced = {
            "HOME": str(self.home),
            "QT_QPA_PLATFORM": screen,
            "QTWEBENGINE_DISABLE_SANDBOX": "1",
            "LC_ALL": "C.UTF-8",
        }
        return ours | forced | more

    def _read(self):
        for line in self.process.stdout:
            text = line.decode("utf-8", "replace").rstrip("\n")
            with self._heard:
                self._lines.append(text)
                self._heard.notify_all()
            if text.startswith(self._endings):
                threading.Timer(1.0, self.kill).start()  # it would wait for ever, and say nothing more of use
        with self._heard:
            self._over = True
            self._heard.notify_all()

    @property
    def said(self) -> str:
        """All that it has posted so far."""
        with self._heard:
            return "\n".join(self._lines)

    def wait_for(self, pattern: str, seconds: float = LIMIT) -> re.Match:
        """The first match of a pattern in a line that it has posted, or posts."""
        end = time.monotonic() + seconds
        seen = 0
        with self._heard:
            while True:
                for line in self._lines[seen:]:
                    if match := re.search(pattern, line):
                        return match
                seen = len(self._lines)
                if self._over or not self._heard.wait(end - time.monotonic()):
                    break
        raise AssertionError(f"sclang never said {pattern!r}:\n{self.said}")

    def end(self) -> Ended:
        """Wait until it has ended."""
        self.process.wait()
        self._reader.join(10)
        self._stop.cancel()
        return Ended(self.process.returncode, self.said)

    def kill(self):
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(script, folder, **options):
    """A running sclang, which is gone when the context ends."""
    sclang = Sclang(script, folder, **options)
    try:
        yield sclang
    finally:
        sclang.kill()
        sclang.end()


def run(script, folder, **options) -> Ended:
    """Run a script to its end."""
    with running(script, folder, **options) as sclang:
        return sclang.end()


def scd_string(text: str) -> str:
    """Text as sclang reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
