"""How often scores of unrelated pieces seem to fit, and which wrong scores of many are named.

    python benchmarks/score_lag_p.py [--draws 200] [--pieces 2 3 4 5 8]
    python benchmarks/score_lag_p.py --scores FOLDER [--draws 200] [--stimuli 10 40 100]

p of `giblet.music.score_sync.joint_lag`:

Onsets of sounds are drawn apart from those of the scores, 200 times: each in a tempo of its own;
all on one beat of half a second; all in bars of four such beats, of which the first and third have
more notes. One row for each kind, number of pieces and length (s): the share of draws with p < .05,
and, of 40 draws with the sounds of the scores themselves, 180 ms late, the same share.

With ``--scores`` names of `giblet.music.score_fits.score_fits`: excerpts of 20 s of 300 pieces of
the folder (MIDI) are rendered, 180 ms late, dry and in a hall (a decay of 1.2 s and noise 20 dB
below), and cut to the length of the stimuli. Of each set of stimuli a share has each other's
scores, or those of pieces that are not in it. One row for each kind of sound, length (s), number of
stimuli and share: of all right scores the share that is named, of the sets those in which any is,
of wrong scores the share that is named, exchanged and foreign, and of exchanged ones that are named
those with the right other.
"""

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from giblet.music.score_files import read_score
from giblet.music.score_fits import score_fits
from giblet.music.score_sync import (
    ALPHA,
    RATE_HZ,
    SAMPLE_RATE,
    joint_lag,
    onset_density,
    onset_envelope,
)
from giblet.music.stimulus_scores import excerpt
from giblet.music.synth import synthesize

LENGTHS = ((12.0, 20.0), (25.0, 40.0))  # s, uniform
BEAT, DELAY, NOISE = 0.5, 0.18, 0.3
N_RELATED = 40


def own_tempo(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Onsets (s) from 0 on."""
    steps = rng.choice([0.0, 0.25, 0.5], round(4 * seconds)) * rng.uniform(0.8, 1.25)
    onsets = np.append(0.0, np.cumsum(steps))
    return onsets[onsets < seconds - 0.5]


def on_beats(rng: np.random.Generator, seconds: float, chances=(0.7,)) -> np.ndarray:
    """Onsets (s) on beats, each with a chance."""
    beats = np.arange(BEAT, seconds - 0.5, BEAT)
    return beats[rng.random(len(beats)) < np.resize(chances, len(beats))]


def in_bars(rng: np.random.Generator, seconds: float) -> np.ndarray:
    """Onsets (s) on beats of bars of four."""
    return on_beats(rng, seconds, (0.95, 0.4, 0.7, 0.4))


def piece(rng: np.random.Generator, seconds: float, draw, related: bool) -> tuple:
    """Onset density of a score and envelope of a sound, (n_frames,) both."""
    n = round(RATE_HZ * seconds)
    score = draw(rng, seconds)
    sound = score + DELAY if related else draw(rng, seconds)
    frames = ((RATE_HZ * one).astype(int) for one in (score, sound))
    density, rises = (np.bincount(one, minlength=n)[:n].astype(float) for one in frames)
    return density, np.convolve(rises, np.exp(-np.arange(10) / 3))[:n] + NOISE * rng.random(n)


def share(draw, n_pieces: int, lengths: tuple, n_draws: int, related: bool) -> float:
    """Of ``n_draws`` those with p < .05."""
    found = []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        parts = [piece(rng, s, draw, related) for s in rng.uniform(*lengths, n_pieces)]
        lag = joint_lag(parts, seed=seed)
        found.append(lag is not None and lag.p_value < ALPHA)
    return float(np.mean(found))


def excerpts(folder: Path, n: int, seconds: float = 20.0) -> list[tuple]:
    """Of ``n`` pieces the onset density of an excerpt, and its envelopes: dry, in a hall."""
    rng, found = np.random.default_rng(0), []
    files = sorted(folder.rglob("*.mid"))
    for k in rng.permutation(len(files)):
        notes = read_score(files[k])
        part = excerpt(notes, rng.uniform(0, max(notes.end - seconds, 1)), seconds)
        if notes.end < seconds or len(part) < seconds / 2:
            continue
        late, n_samples = round(DELAY * SAMPLE_RATE), round(seconds * SAMPLE_RATE)
        dry = np.pad(synthesize(part, SAMPLE_RATE), (late, n_samples))[:n_samples]
        times = np.arange(round(1.2 * SAMPLE_RATE)) / SAMPLE_RATE
        echo = rng.normal(size=len(times)) * np.exp(-times / 0.18)
        wet = dry + 2 * fftconvolve(dry, echo / np.linalg.norm(echo))[:n_samples]
        wet += 0.1 * wet.std() * rng.normal(size=n_samples)
        envelopes = [onset_envelope(one.astype(np.float32)) for one in (dry, wet)]
        found.append((onset_density(part, len(envelopes[0])), *envelopes))
        if len(found) == n:
            break
    return found


def named(parts: list, whose: np.ndarray, own: np.ndarray, seed: int) -> np.ndarray:
    """Counts of one set: right scores, named ones; exchanged ones, named, with the right other;
    foreign ones, named.

    ``own``, ``whose`` (n_stimuli,): numbers of the sound and of the score of each of ``parts``.
    """
    fits = score_fits(parts, DELAY, seed=seed)
    is_named = np.isin(np.arange(len(own)), fits.named if fits else [])
    is_right, is_foreign = whose == own, ~np.isin(whose, own)
    found = sum(whose[j] == own[k] for k, j in (fits.better if fits else {}).items())
    of_kind = [(kind.sum(), is_named[kind].sum()) for kind in (is_right, ~is_right & ~is_foreign)]
    return np.array([*of_kind[0], *of_kind[1], found, is_foreign.sum(), is_named[is_foreign].sum()])


def print_named(pool: list, numbers: list[int], n_draws: int) -> None:
    """Print the table of names."""
    print("sound  seconds stimuli wrong   right sets  exchanged other foreign")
    cases = product(("dry", "hall"), (5.0, 10.0, 15.0, 20.0), numbers, (0.0, 0.1, 0.25))
    for kind, seconds, n, share in cases:
        n_frames, counts = round(seconds * RATE_HZ), []
        for seed in range(n_draws):
            rng = np.random.default_rng(seed)
            own, n_wrong = rng.permutation(len(pool))[: 2 * n], round(share * n)
            own, rest = own[:n], own[n:]
            whose = own.copy()
            whose[:n_wrong] = rest[:n_wrong] if seed % 2 else np.roll(own[:n_wrong], 1)
            parts = [
                (pool[j][0][:n_frames], pool[k][1 + (kind == "hall")][:n_frames])
                for k, j in zip(own, whose, strict=True)
            ]
            counts.append(named(parts, whose, own, seed))
        sums, any_right = np.sum(counts, axis=0), np.mean([one[1] > 0 for one in counts])
        shares = [
            sums[b] / sums[a] if sums[a] else np.nan for a, b in ((0, 1), (2, 3), (2, 4), (5, 6))
        ]
        row = f"{kind:<7}{seconds:>7g}{n:>8}{share:>6g}{shares[0]:>8.4f}{any_right:>5.2f}"
        print(f"{row}{shares[1]:>11.2f}{shares[2]:>6.2f}{shares[3]:>8.2f}", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--pieces", type=int, nargs="+", default=[2, 3, 4, 5, 8])
    parser.add_argument("--scores", type=Path, help="folder of MIDI files")
    parser.add_argument("--stimuli", type=int, nargs="+", default=[10, 40, 100])
    chosen = parser.parse_args()
    if chosen.scores:
        pool = excerpts(chosen.scores, 2 * max(chosen.stimuli))
        return print_named(pool, chosen.stimuli, chosen.draws)
    print(f"{'onsets':<12}{'pieces':>7}{'seconds':>10}{'unrelated':>11}{'own':>7}")
    for n_pieces in chosen.pieces:
        for lengths in LENGTHS:
            for draw in (own_tempo, on_beats, in_bars):
                unrelated = share(draw, n_pieces, lengths, chosen.draws, related=False)
                own = share(draw, n_pieces, lengths, N_RELATED, related=True)
                name, of = draw.__name__, f"{lengths[0]:g}-{lengths[1]:g}"
                print(f"{name:<12}{n_pieces:>7}{of:>10}{unrelated:>11.3f}{own:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
