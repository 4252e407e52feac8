"""A listening test: one page for listeners, and the statistics of their answers."""
