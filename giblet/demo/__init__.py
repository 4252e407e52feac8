"""A small film made by us (``film.py`` remakes it) and simulated brains that watch it."""

from pathlib import Path


def film_path() -> Path:
    """The bundled film: 540 s of mp4, sound (24 kHz mono) and pictures (320 x 180, 12 a second)."""
    return Path(__file__).with_name("film.mp4")


def annotations_path() -> Path:
    """What is spoken in it, one row a sentence: ``onset duration text``, in seconds of the film."""
    return Path(__file__).with_name("annotations.tsv")
