"""Rules of the score: processor seconds and memory by the length of the music.

    python benchmarks/music_score.py PIECES [--seconds 60 240] [--contexts 1 16 256]

The MIDI files of the folder PIECES, one after the other, are cut to ``--seconds`` and rendered.
``read``: the files. ``lag``: the score's clock against the sound's, as ``read_score`` has it.
``TRs``: features without surprisal. ``n-grams`` and ``model``: surprisal by each, the latter by the
bundled transformer. ``context``: its surprisal with the last notes alone, all of ``--contexts``.
``notes``: notes of the test part from the autoencoder's read-out, and all their scores, of two
SIMULATED people (noise, 400 voxels) and a model that learned nothing, as ``reconstruct_score`` has
them. Each length has a process of its own; MB is its peak above what the imports take, before the
step ``notes`` and in all. Then surprisal by context, in nats a note, of the notes that have the
longest context.
"""

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np

T_R, N_VOXELS, RATE = 1.5, 400, 24000
PARTS = ("read", "lag", "TRs", "n-grams", "model", "context", "notes")


def piece_of(folder: Path, seconds: float):
    """The files' notes one after the other, up to ``seconds``."""
    from giblet.music.midi import read_midi
    from giblet.music.notes import Notes

    parts, end = [], 0.0
    for path in sorted(folder.rglob("*.mid")):
        notes = read_midi(path)
        parts.append(notes.moved(end - float(notes.onset[0])))
        if (end := parts[-1].end + 1.0) >= seconds:
            break
    return Notes.joined(parts).between(0.0, seconds)


def measure(folder: str, seconds: float, contexts: list[int], pipe) -> None:
    """Send processor seconds of each part, MB, notes and nats by context through ``pipe``."""
    from giblet.music.model import load
    from giblet.music.ngrams import NgramModel
    from giblet.music.score_features import Listening
    from giblet.music.score_sync import SAMPLE_RATE, onset_density, onset_envelope, score_lag
    from giblet.music.score_trs import score_on_trs
    from giblet.music.surprisal import context_surprisal, note_surprisal
    from giblet.music.synth import synthesize

    model, spent = load("bundled"), {}
    before = peak_mb()

    def timed(name, work):
        start = time.process_time()
        result = work()
        spent[name] = time.process_time() - start
        return result

    piece = timed("read", lambda: piece_of(Path(folder), seconds))
    sound = synthesize(piece, SAMPLE_RATE)

    def lag():
        envelope = onset_envelope(sound)
        return score_lag(onset_density(piece, len(envelope)), envelope)

    timed("lag", lag)
    n_trs = int(seconds / T_R)
    trs = timed("TRs", lambda: score_on_trs(Listening(piece), T_R, n_trs))
    timed("n-grams", lambda: NgramModel().surprisal(piece))
    timed("model", lambda: note_surprisal(model, piece))
    nats = timed("context", lambda: context_surprisal(model, piece, contexts))
    without_notes = peak_mb() - before
    held = held_out(piece, trs["score"].values)
    timed("notes", lambda: reconstruct(held))
    nats = nats[np.isfinite(nats).all(axis=1)].mean(axis=0).tolist()
    pipe.send((spent, (without_notes, peak_mb() - before), len(piece), nats))


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def held_out(piece, roll: np.ndarray):
    """The last quarter of the music, two people's noise, and a model with a read-out."""
    import torch

    from giblet.alignment.dataset import FilmData, split_film, zscore_bold
    from giblet.alignment.shapes import Shapes
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.config.sections import ModelConfig, SplitConfig
    from giblet.evaluation.held_out_score import HeldOutScore
    from giblet.evaluation.score_codes import RollCode
    from giblet.music.synth import synthesize

    n_trs, people = len(roll), ("sub-01", "sub-02")
    part = split_film(n_trs, T_R, SplitConfig(test=0.25, gap_seconds=6), has_bold=True)
    run = np.repeat("run-1", n_trs)
    noise = np.random.default_rng(0).normal(size=(2, n_trs, N_VOXELS)).astype(np.float32)
    bold = torch.from_numpy(zscore_bold(noise, run, part == "train")[0])
    sizes = {"score": roll.shape[1:]}
    facts = {"use_encodec": False, "n_rows": 32, "frames_per_tr": 16, "codebook_size": 0}
    shapes = Shapes.with_modalities(sizes, **facts, n_voxels=N_VOXELS, subjects=people)
    torch.manual_seed(0)
    autoencoder = Autoencoder(shapes, ModelConfig(start_from="none")).eval()
    film = {"score": torch.from_numpy(roll), "audio": torch.zeros(n_trs, 32, 16)}
    data = FilmData(film, bold, part, run, people)
    first, seconds = int(data.where("test")[0]), n_trs * T_R
    heard = synthesize(piece.between(first * T_R, seconds), RATE)
    n_samples = round((seconds - first * T_R) * RATE)
    heard = np.pad(heard, (0, n_samples))[:n_samples]
    held = HeldOutScore(piece, heard, RATE, data, np.arange(n_trs), T_R, clip_seconds=T_R)
    return held, RollCode(autoencoder, data, T_R)


def reconstruct(held) -> None:
    """All that ``reconstruct_score`` computes."""
    from giblet.config.sections import DecodingConfig
    from giblet.evaluation.score_reconstruction import reconstruct_score

    reconstruct_score(*held, DecodingConfig(clip_seconds=T_R, voxel_share=1.0), seed=0)


def main() -> None:
    """Print a row for each length, then surprisal by context."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pieces")
    parser.add_argument("--seconds", type=float, nargs="+", default=[60.0, 240.0])
    parser.add_argument("--contexts", type=int, nargs="+", default=[1, 16, 256])
    options = parser.parse_args()
    header = "".join(f"{name:>9}" for name in PARTS)
    print(f"seconds  notes {header}       MB   MB all")
    context = multiprocessing.get_context("spawn")
    by_context = {}
    for seconds in options.seconds:
        ours, theirs = context.Pipe()
        arguments = (options.pieces, seconds, options.contexts, theirs)
        child = context.Process(target=measure, args=arguments)
        child.start()
        theirs.close()
        spent, megabytes, n_notes, by_context[seconds] = ours.recv()
        child.join()
        cells = "".join(f"{spent[name]:>9.2f}" for name in PARTS)
        mb = "".join(f"{value:>9.0f}" for value in megabytes)
        print(f"{seconds:>7g} {n_notes:>6} {cells}{mb}", flush=True)
    print("\ncontext  " + "".join(f"{n:>8}" for n in options.contexts))
    for seconds, nats in by_context.items():
        print(f"{seconds:>5g} s  " + "".join(f"{value:>8.2f}" for value in nats))


if __name__ == "__main__":
    main()
