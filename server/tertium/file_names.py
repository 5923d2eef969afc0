"""The rule for the names of sounds, results and checkpoints, equal to the one that the protocol has for clients."""

import re

LONGEST = 100
"""Characters."""
LONGEST_BYTES = 180
"""In UTF-8. File systems take 255; suffixes and the marks of unfinished files are added to the name."""
FORBIDDEN = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]')
"""Characters that some system does not allow in file names, and those that would make one name look like another:
control characters and changes of text direction."""


def is_plain(name: str) -> bool:
    """Return whether a name is valid for a file on every system, and not that of a hidden file."""
    return 0 < len(name) <= LONGEST and name[0] not in ". " and not FORBIDDEN.search(name)
