"""Builds ``dist/Tertium.amxd``; with ``--picture``, draws the panel into ``docs/`` as well."""

import argparse

from .device import DEVICE, device

parser = argparse.ArgumentParser(prog="max_for_live.build", description=__doc__)
parser.add_argument("--picture", action="store_true", help="draw the panel too; needs chromium")
arguments = parser.parse_args()
DEVICE.parent.mkdir(exist_ok=True)
DEVICE.write_bytes(device())
print(f"{DEVICE.name}: {DEVICE.stat().st_size} bytes")
if arguments.picture:
    from .screenshot import draw

    for picture in draw():
        print(picture.name)
