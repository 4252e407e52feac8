"""``python -m giblet VERB``."""

from giblet.commands.cli import run

run()
