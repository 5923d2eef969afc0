"""The evaluation: the claims of the method measured on real recordings, with a figure, a table and a verdict for each.

``python -m evaluation`` measures and writes ``report/``. Every figure is a module with the same few names (see :mod:`evaluation.figures`): the fine-tunes
that it needs, the tasks that measure its rows, its drawing and its section of the page, and the verdicts that follow from the rows. All verdicts are computed.
"""
