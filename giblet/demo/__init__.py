"""A small film and a piece of music (``workflow/scripts/make_demo_*.py``), and simulated brains."""

from pathlib import Path


def film_path() -> Path:
    """The bundled film: 540 s of mp4, sound (24 kHz mono) and video (320 x 180, 12 fps)."""
    return Path(__file__).with_name("film.mp4")


def annotations_path() -> Path:
    """Its spoken sentences, a row each: ``onset duration text``, in seconds of the film."""
    return Path(__file__).with_name("annotations.tsv")


def music_path() -> Path:
    """The bundled music: eight songs by Robert Franz (MIDI); rule ``render_music`` plays them."""
    return Path(__file__).with_name("demo_music.mid")


def known_songs_path() -> Path:
    """Ten other songs by Robert Franz (MIDI), which simulated listeners know."""
    return Path(__file__).with_name("known_songs.mid")
