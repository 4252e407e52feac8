"""A small film (see ``workflow/scripts/make_demo_film.py``) and simulated brains that watch it."""

from pathlib import Path


def film_path() -> Path:
    """The bundled film: 540 s of mp4, sound (24 kHz mono) and video (320 x 180, 12 fps)."""
    return Path(__file__).with_name("film.mp4")


def annotations_path() -> Path:
    """Its spoken sentences, a row each: ``onset duration text``, in seconds of the film."""
    return Path(__file__).with_name("annotations.tsv")
