"""Many stimuli: processor seconds and memory of further stages, by their number.

    python benchmarks/stimulus_stages.py [--clips 100 300 1000] [--seconds 3] [--stages join codes]

SIMULATED clips (noise) as of ``stimuli.py``, presented once to two people in runs of 50. ``join``:
one film of all. ``render``: a score as long as all, as sound. ``codes``: by a small random EnCodec.
``pictures``: clips of 32 × 24 at 10 fps. ``scores``: notes and their lag. ``surprisal``: each score
by a small random transformer.
``align``: one band of sound and 8 parcels (SIMULATED noise) on the film's TRs, in parts.
``quality``: ISC and ridge of two bands of four features. Each stage and number has a process of its
own; MB is its peak above what it had when the stage began, imports included. The exponent is that
of seconds from the last but one number of clips to the last. The stages that score, export and
describe results are those of ``stimulus_results.py``.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from stimuli import RATE, T_R, make_scans, write_clips
from stimulus_results import RESULTS, prepare

N_PARCELS, N_FEATURES = 8, 4


def join(folder: Path):
    """Sounds joined to one film."""
    from giblet.audio.stimuli import join_stimuli

    return lambda: join_stimuli(folder / "clips", folder / "film.wav", T_R)


def render(folder: Path):
    """A score of two notes a second as sound."""
    from giblet.commands.music import render
    from giblet.music.midi import write_midi
    from giblet.music.notes import Notes

    onset = np.arange(0, _clock(folder).n_film_trs * T_R, 0.5)
    lengths, velocity = np.full(len(onset), 0.4), np.full(len(onset), 80)
    pitch = np.random.default_rng(0).integers(48, 84, len(onset))
    write_midi(Notes(onset, lengths, pitch, velocity), folder / "all.mid")
    write_midi(Notes(onset[:2], lengths[:2], pitch[:2], velocity[:2]), folder / "two.mid")
    render(folder / "two.mid", folder / "two.wav")
    return lambda: render(folder / "all.mid", folder / "all.wav")


def codes(folder: Path):
    """Codes of the film of all."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    from giblet.audio.framing import group_trs
    from giblet.audio.processor import AudioProcessor
    from giblet.config.config import parse_config

    torch.manual_seed(0)
    EncodecModel(EncodecConfig(num_filters=2)).save_pretrained(folder / "codec")
    config = parse_config({"t_r": T_R, "codec": str(folder / "codec")})
    processor = AudioProcessor.from_config(config, "encodec")
    seconds = _clock(folder).n_film_trs * T_R
    noise = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    soundfile.write(folder / "noise.wav", noise, RATE)

    def work():
        frames, n_trs = processor.extract(folder / "noise.wav")
        group_trs(frames, processor.clock, n_trs)

    return work


def pictures(folder: Path):
    """Frames of clips of grey pictures."""
    import av

    from giblet.alignment.stimulus_pictures import StimulusPictures
    from giblet.film.video import extract_frames

    clock = _clock(folder)
    (folder / "films").mkdir()
    files = [folder / "films" / f"{name}.mkv" for name in clock.names]
    for file, seconds in zip(files, clock.durations, strict=True):
        with av.open(str(file), "w") as film:
            video = film.add_stream("ffv1", rate=10)
            video.width, video.height, video.pix_fmt = 32, 24, "bgr0"
            for n in range(round(10 * seconds)):
                grey = np.full((24, 32, 3), 2 * n % 256, np.uint8)
                film.mux(video.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            film.mux(video.encode(None))
    clock = type(clock).lay_out(clock.names, clock.durations, T_R, list(map(str, files)))
    return lambda: extract_frames(StimulusPictures(clock), T_R, clock.n_film_trs, 2, 24, 32)


def surprisal(folder: Path):
    """Features of all scores, by a transformer."""
    from giblet.music.model import MusicTransformerVAEGAN
    from giblet.music.pieces import Pieces
    from giblet.music.score_features import Listening
    from giblet.music.stimulus_scores import join_scores, pieces_on_trs, scores_apart

    model = MusicTransformerVAEGAN({"transformer": {"width": 32, "n_layers": 1}})
    clock = _clock(folder)
    pieces = Pieces.of_clock(clock)

    def work():
        apart = scores_apart(join_scores(pieces), pieces)
        pieces_on_trs(apart, pieces, T_R, clock.n_film_trs, lambda one: Listening(one, model))

    return work


def scores(folder: Path):
    """Scores of all, and their lag behind the sound (noise)."""
    from giblet.audio.files import sound_blocks
    from giblet.music.pieces import Pieces
    from giblet.music.score_sync import SAMPLE_RATE, onset_envelope
    from giblet.music.stimulus_scores import common_lag, join_scores, piece_lags

    clock = _clock(folder)
    pieces = Pieces.of_clock(clock)
    noise = np.random.default_rng(0).normal(0, 0.1, round(clock.n_film_trs * T_R * RATE))
    soundfile.write(folder / "sound.wav", noise.astype(np.float32), RATE)

    def work():
        notes = join_scores(pieces)
        envelope = onset_envelope(sound_blocks(folder / "sound.wav", SAMPLE_RATE))
        common_lag(notes, envelope, pieces)
        piece_lags(notes, envelope, pieces)

    return work


def align(folder: Path):
    """Sound, scans and regressors on the film's TRs."""
    import xarray as xr

    from giblet.alignment.aligned import align
    from giblet.config.sections import SplitConfig

    clock, scans, (one, _other) = scanned(folder)
    sound = np.zeros((clock.n_film_trs, 16, 16), np.float32)
    sound[:] = np.random.default_rng(1).normal(size=sound.shape)
    dims = ("tr", "row", "frame")
    film = xr.Dataset({"audio": (dims, sound)}, attrs={"t_r": T_R, "encoding_mode": "mel"})
    splits = SplitConfig(gap_seconds=0)
    return lambda: align([film], scans, [one], T_R, splits)


def quality(folder: Path):
    """Inter-subject correlation and ridge."""
    from giblet.evaluation.quality import brain_quality

    _clock, scans, (one, other) = scanned(folder)
    options = {"n_permutations": 20, "n_shifts": 50, "n_iter": 2, "n_shift_maps": 10}
    return lambda: brain_quality(scans, {"mel": one, "rhythm": other}, T_R, **options)


STAGES = {f.__name__: f for f in (join, render, codes, pictures, scores, surprisal, align, quality)}
STAGES |= RESULTS


def _clock(folder: Path):
    """Of the clips, with their scores."""
    from giblet.brain.stimulus_clock import StimulusClock

    sounds = sorted((folder / "clips").glob("*.wav"))
    seconds = [soundfile.info(sound).duration for sound in sounds]
    scores = [str(sound.with_suffix(".mid")) for sound in sounds]
    names, files = [sound.stem for sound in sounds], list(map(str, sounds))
    return StimulusClock.lay_out(names, seconds, T_R, files, scores=scores)


def scanned(folder: Path):
    """The clock, scans of SIMULATED noise, and two bands of regressors for them."""
    import xarray as xr

    from giblet.alignment.regressors import regress

    clock, rng = _clock(folder), np.random.default_rng(0)
    scans = make_scans(clock).assign_attrs(source="SIMULATED", carry_over=1)
    noise = rng.normal(size=(scans.sizes["volume"], N_PARCELS)).astype(np.float32)
    scans = scans.assign(bold=(("volume", "parcel"), noise))
    bands = []
    for _ in range(2):
        values = rng.normal(size=(clock.n_film_trs, N_FEATURES))
        blurred = regress(values, 1 / T_R, scans, T_R, "spm")
        attrs = {"n_trs": clock.n_film_trs, "hrf_model": "spm", "fir_lags_seconds": []}
        bands.append(xr.Dataset({"regressors": (("volume", "feature"), blurred)}, attrs=attrs))
    return clock, scans, bands


def measure(stage: str, folder: str, pipe) -> None:
    """Send processor seconds and MB of a stage through ``pipe``."""
    work = STAGES[stage](Path(folder))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    work()
    spent = time.process_time() - start
    pipe.send((spent, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def main() -> None:
    """Print seconds and MB of each stage by number of clips, and the exponents."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    context = multiprocessing.get_context("fork")
    print("clips stage     seconds     MB")
    seconds: dict[str, list[float]] = {stage: [] for stage in options.stages}
    for n in options.clips:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "clips").mkdir()
            write_clips(Path(folder) / "clips", n, options.seconds)
            if set(options.stages) & set(RESULTS):
                prepare(Path(folder))
            for stage in options.stages:
                ours, theirs = context.Pipe()
                child = context.Process(target=measure, args=(stage, folder, theirs))
                child.start()
                spent, megabytes = ours.recv()
                child.join()
                seconds[stage].append(spent)
                print(f"{n:>5} {stage:10}{spent:>8.2f}{megabytes:>7.0f}", flush=True)
    for stage, spent in seconds.items() if len(options.clips) > 1 else ():
        growth = np.log(np.divide(*spent[:-3:-1])) / np.log(np.divide(*options.clips[:-3:-1]))
        print(f"{stage:10} exponent {growth:.2f}")


if __name__ == "__main__":
    main()
