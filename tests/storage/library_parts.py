"""What the tests of the library share."""

import os
import time
from pathlib import Path

from tests.sounds import tone

DAY = 86400.0


def result(library, frequency, *, of=(), name="made", **about):
    """Store a result whose recipe names sounds."""
    recipe = {"command": "fuse", "sounds": {f"role {number}": {"id": sound.id} for number, sound in enumerate(of)}}
    return library.store_result(tone(frequency), 44_100, name=name, recall=recipe, **about)


def unused_for(library, days, *sounds):
    """Let the last use of sounds lie some days back."""
    for sound in sounds:
        moment = time.time() - days * DAY
        os.utime(sound.sidecar, (moment, moment))
    library.reconcile()


def there(*sounds):
    """Which of the sounds have their file."""
    return [Path(sound.path).exists() for sound in sounds]


def rows(library):
    """The number of rows of the index."""
    return len(library.catalogue._do(lambda index: index.states()))
