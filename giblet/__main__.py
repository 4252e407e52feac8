"""``python -m giblet VERB``."""

from giblet.cli import run

run()
