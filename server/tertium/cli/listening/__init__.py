"""A listening study: its pairs, the stimuli that a daemon makes of them, the page, and the results that come back."""
