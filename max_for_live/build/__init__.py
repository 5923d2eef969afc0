"""The device ``Tertium.amxd``: its patcher, described in Python, and its file.

``python -m max_for_live.build`` builds ``max_for_live/dist/Tertium.amxd`` from ``interface.json`` and the modules of ``src/``.
The same sources give the same bytes.
"""
