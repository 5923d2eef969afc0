"""The evidence: the method's claims measured on real recordings, with a figure, a table and a verdict for each.

``python -m evaluation`` measures and writes ``report/``. Every figure is a module of its own with the same few names (see :mod:`evaluation.figures`): what it has to
learn first, the tasks that measure its rows, a drawing and a text of those rows, and the verdicts that follow from them. Verdicts are computed; none is written down.
"""
