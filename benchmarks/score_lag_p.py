"""How often scores of unrelated pieces seem to fit: p of `giblet.music.score_sync.joint_lag`.

    python benchmarks/score_lag_p.py [--draws 200] [--pieces 2 3 4 5 8]

Onsets of sounds are drawn apart from those of the scores, 200 times: each in a tempo of its own;
all on one beat of half a second; all in bars of four such beats, of which the first and third have
more notes. One row for each kind, number of pieces and length (s): the share of draws with p < .05,
and, of 40 draws with the sounds of the scores themselves, 180 ms late, the same share.
"""

import argparse

import numpy as np

from giblet.music.score_sync import ALPHA, RATE_HZ, joint_lag

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


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--pieces", type=int, nargs="+", default=[2, 3, 4, 5, 8])
    chosen = parser.parse_args()
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
