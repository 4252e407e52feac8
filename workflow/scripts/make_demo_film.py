"""Make the bundled film: ``python workflow/scripts/make_demo_film.py [folder]``.

Writes ``film.mp4`` and ``annotations.tsv`` from ``demo_film/narration.txt``, in about a minute.
Needs the program espeak-ng; the film that comes with giblet was made by this script.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from demo_film.pictures import FPS, HEIGHT, WIDTH, scene_frames
from demo_film.script import Scene, read_scenes
from demo_film.soundtrack import SAMPLE_RATE, SCENE_DURATION, soundtrack

from giblet.demo import annotations_path, film_path
from giblet.errors import GibletError
from giblet.io.atomic import replacing
from giblet.io.tables import save_table
from giblet.timing import count_samples

NARRATION = Path(__file__).parent / "demo_film" / "narration.txt"
SEED = 0
_SOUND = {"codec_name": "aac", "rate": SAMPLE_RATE, "bit_rate": 56_000, "layout": "mono"}
_PICTURES = {"codec_name": "libx264", "rate": FPS, "options": {"crf": "30", "preset": "slow"}}


def make_film(folder: Path, seed: int = SEED) -> None:
    """Write the film and its annotations into ``folder``."""
    scenes = read_scenes(NARRATION.read_text(encoding="utf-8"))
    sound, sentences = soundtrack(scenes, seed)
    with replacing(folder / film_path().name) as temporary:
        write_film(temporary, sound, film_frames(scenes, seed))
    save_table(pd.DataFrame(map(asdict, sentences)), folder / annotations_path().name)


def film_frames(scenes: list[Scene], seed: int) -> Iterator[np.ndarray]:
    """Every frame of the film, (HEIGHT, WIDTH, 3) uint8."""
    for index, scene in enumerate(scenes):
        yield from scene_frames(scene, SCENE_DURATION, [seed, index])


def write_film(path: Path, sound: np.ndarray, frames: Iterable[np.ndarray]) -> None:
    """Write sound (n_samples,) at ``SAMPLE_RATE`` and ``FPS`` frames a second as an mp4 file."""
    import av

    frames = iter(frames)
    with av.open(str(path), "w", options={"movflags": "+faststart", "fflags": "+bitexact"}) as film:
        pictures, audio = film.add_stream(**_PICTURES), film.add_stream(**_SOUND)
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        one_second = count_samples(1, SAMPLE_RATE)
        for start in range(0, len(sound), one_second):  # second by second: both stay side by side
            for image in islice(frames, FPS):
                film.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            film.mux(audio.encode(_audio_frame(sound[start : start + one_second], start)))
        film.mux(pictures.encode(None))
        film.mux(audio.encode(None))


def _audio_frame(sound: np.ndarray, start: int):
    import av

    frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
    return frame


def main() -> int:
    """Make the film in the folder named on the command line; 1 when it cannot be made."""
    parser = argparse.ArgumentParser(prog="make_demo_film.py", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=film_path().parent)
    try:
        make_film(parser.parse_args().folder)
    except GibletError as error:
        print(f"giblet: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
