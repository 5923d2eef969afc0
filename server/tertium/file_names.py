"""File names: the one rule for what a sound, a result or a checkpoint may be called, the same that the protocol has for clients."""

import re

LONGEST = 100
"""Characters."""
LONGEST_BYTES = 180
"""In UTF-8: file systems take 255, and suffixes and what marks an unfinished file come to it."""
FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]')
"""Characters that some system cannot have in a file name, and those that would make one name look like another: controls and changes of direction."""


def is_plain(name: str) -> bool:
    """Whether a name can be that of a file on every system, and is not hidden."""
    return 0 < len(name) <= LONGEST and name[0] not in ". " and not FORBIDDEN.search(name)
