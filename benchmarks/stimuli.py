"""Many stimuli: processor seconds and memory by their number.

    python benchmarks/stimuli.py [--clips 30 100 300 1000] [--seconds 5]

SIMULATED clips (noise) of ``--seconds`` at 16 kHz, each with five words and a score of two notes a
second beside it, presented once to two people, in runs of 50. ``list``: the folder's stimuli and
what lies beside them.
``join``: one film of all, with silence between. ``frame``: its mel frames in TRs of 1.5 s.
``words``: one vector per TR. ``match``: the volumes of each stimulus' TRs. ``score``: read and
joined; ``in TRs``: its features by n-grams. ``identify``: each clip among all, decoded from two
people's SIMULATED noise, 2,048 features a TR. Each number of clips has a process of its own; MB is
its peak above what the imports take. The sum leaves out ``identify``, which compares all pairs.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

T_R, RATE, PER_RUN = 1.5, 16000, 50
PARTS = ("list", "join", "frame", "words", "match", "score", "in TRs", "identify")
N_FEATURES = 2048  # of a bottleneck


def write_clips(folder: Path, n_clips: int, seconds: float) -> None:
    """Clips, and a table of words and a score beside each."""
    from giblet.music.midi import write_midi
    from giblet.music.notes import Notes

    rng, onset = np.random.default_rng(0), np.arange(0, seconds, 0.5)
    lengths, velocity = np.full(len(onset), 0.4), np.full(len(onset), 80)
    for n in range(n_clips):
        noise = rng.normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
        soundfile.write(folder / f"clip {n:04d}.wav", noise, RATE)
        words = pd.DataFrame({"onset": np.arange(5) * seconds / 5, "duration": 0.3, "text": "word"})
        words.to_csv(folder / f"clip {n:04d}.tsv", sep="\t", index=False)
        notes = Notes(onset, lengths, rng.integers(48, 84, len(onset)), velocity)
        write_midi(notes, folder / f"clip {n:04d}.mid")


def measure(folder: str, pipe) -> None:
    """Send processor seconds of each part, and MB, through ``pipe``."""
    from giblet.alignment.stimulus_words import stimulus_words
    from giblet.audio.framing import group_trs
    from giblet.audio.processor import AudioProcessor
    from giblet.audio.stimuli import join_stimuli, list_stimuli
    from giblet.config.config import parse_config
    from giblet.evaluation.stimulus_identification import identify_stimuli
    from giblet.film.text import embed_words
    from giblet.music.ngrams import NgramModel
    from giblet.music.pieces import Pieces
    from giblet.music.score_features import Listening
    from giblet.music.stimulus_scores import join_scores, pieces_on_trs, scores_apart

    processor = AudioProcessor.from_config(parse_config({"t_r": T_R}), "mel")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    source, film = Path(folder) / "clips", Path(folder) / "film.wav"
    spent = {}

    def timed(name, work):
        start = time.process_time()
        result = work()
        spent[name] = time.process_time() - start
        return result

    timed("list", lambda: list_stimuli(source))
    clock = timed("join", lambda: join_stimuli(source, film, T_R))

    def frame():
        frames, n_trs = processor.extract(film)
        return group_trs(frames, processor.clock, n_trs)

    n_trs = len(timed("frame", frame))
    duration = clock.at(clock.n_film_trs)
    timed("words", lambda: embed_words(stimulus_words(clock), T_R, n_trs, duration))
    timed("match", lambda: match(clock))
    pieces = Pieces.of_clock(clock)
    notes = timed("score", lambda: join_scores(pieces))

    def in_trs():
        apart = scores_apart(notes, pieces)
        pieces_on_trs(apart, pieces, T_R, n_trs, lambda one: Listening(one, ngrams=NgramModel()))

    timed("in TRs", in_trs)
    of_tr = np.repeat(np.arange(len(clock.names)), clock.n_trs)
    values = np.random.default_rng(1).normal(size=(3, len(of_tr), N_FEATURES)).astype(np.float32)
    names = np.array(clock.names)[of_tr]
    timed("identify", lambda: identify_stimuli(list(values[1:]), values[0], names, 1000, seed=0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pipe.send((spent, (peak - before) / 1024))


def match(clock) -> None:
    """Volumes of each TR of `make_scans`."""
    from giblet.alignment.sync import match_scans

    match_scans(make_scans(clock), T_R, clock.n_film_trs)


def make_scans(clock):
    """Clocks of two people's scans, who heard each clip once, in runs of `PER_RUN`."""
    import xarray as xr

    from giblet.brain.runs import Presented

    volumes, events = [], []
    for subject in ("sub-1", "sub-2"):
        for run, first in enumerate(range(0, len(clock.names), PER_RUN)):
            own = np.arange(first, min(first + PER_RUN, len(clock.names)))
            lengths = clock.durations[own] + 2 * T_R
            onset = np.concatenate([[0], np.cumsum(lengths)[:-1]])
            table = pd.DataFrame({"onset": onset, "stimulus": own})
            table["duration"] = clock.durations[own]
            table["stim_onset"] = clock.begins[own]
            times = np.arange(int(lengths.sum() / T_R) + 8) * T_R
            columns = Presented(clock, table, times).film_times()
            names = ("film_time", "in_film", "film_start")
            columns = dict(zip(names, columns, strict=True)) | {"scan_time": times}
            volumes.append(pd.DataFrame(columns).assign(subject=subject, run=f"run-{run}"))
            events.append(table.assign(subject=subject, run=f"run-{run}"))
    volumes, events = pd.concat(volumes), pd.concat(events)
    coords = {name: ("volume", volumes[name].to_numpy()) for name in volumes}
    names = ("subject", "run", "onset", "duration", "stimulus")
    coords |= {f"event_{name}": ("event", events[name].to_numpy()) for name in names}
    return xr.Dataset(coords=coords | clock.coordinates(), attrs={"t_r": T_R})


def main() -> None:
    """Print a row for each number of clips, and the growth from the first to the last."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[30, 100, 300, 1000])
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    print("clips " + "".join(f"{name:>9}" for name in PARTS) + "      sum       MB  s a clip")
    context = multiprocessing.get_context("spawn")
    for n in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "clips").mkdir()
            write_clips(Path(folder) / "clips", n, options.seconds)
            ours, theirs = context.Pipe()
            child = context.Process(target=measure, args=(folder, theirs))
            child.start()
            spent, megabytes = ours.recv()
            child.join()
        total = sum(spent.values()) - spent["identify"]
        cells = "".join(f"{spent[name]:>9.2f}" for name in PARTS)
        print(f"{n:>5} {cells}{total:>9.2f}{megabytes:>9.0f}{total / n:>10.4f}", flush=True)


if __name__ == "__main__":
    main()
