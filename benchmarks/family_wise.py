"""False positives of p corrected over the brain, where people share BOLD that no band explains.

    python benchmarks/family_wise.py [--draws 200] [--first 0] [--shared 0 0.1 0.3] [--explained 0]
    python benchmarks/family_wise.py --isc [--draws 400]

Each draw is SIMULATED noise without an effect: people × TRs × voxels of a grid, smooth in time and
space. A share of its variance is the same in all people; ``--explained``: a further share, which
follows the second band. Printed: the share of draws with any place at p < .05, for r of the
first band, and ISC (whose null holds where nothing is shared), with the exact 95 % interval of a
binomial share. ``--isc``: of ISC alone.
"""

import argparse
from collections import defaultdict

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.signal import lfilter
from scipy.stats import binomtest

from giblet.brain.neighbours import grid_edges
from giblet.stats.encoding_maps import ClockGroup, held_out_folds, linear_maps
from giblet.stats.group_maps import null_maps
from giblet.stats.intersubject import isc, isc_nulls

SHAPE = (5, 4, 2)
N_PEOPLE, N_TRS, GAP, N_NULLS, ALIKE = 8, 120, 8, 100, 0.6  # ALIKE: from TR to TR
SCORES = ("r_first",)


def scaled(series: np.ndarray) -> np.ndarray:
    """(n_people, n_trs, n) with mean 0 and deviation 1 in time."""
    return (series - series.mean(axis=1, keepdims=True)) / series.std(axis=1, keepdims=True)


def smooth(rng: np.random.Generator, n_people: int) -> np.ndarray:
    white = gaussian_filter(
        rng.standard_normal((n_people, N_TRS, *SHAPE)), (0, 0, 0.8, 0.8, 0.8)
    ).reshape(n_people, N_TRS, -1)
    return scaled(lfilter([1], [1, -ALIKE], white, axis=1))


def brains(rng: np.random.Generator, shared: float, explained: float, film: np.ndarray):
    """BOLD (n_people, n_trs, n_voxels) float32; ``film`` (n_trs, n_features) explains a share."""
    follows = scaled((film @ rng.standard_normal((film.shape[1], np.prod(SHAPE))))[None])
    parts = np.sqrt(explained) * follows + np.sqrt(shared) * smooth(rng, 1)
    own = np.sqrt(1 - shared - explained) * smooth(rng, N_PEOPLE)
    return scaled(parts + own).astype(np.float32)


def bands(rng: np.random.Generator) -> dict[str, np.ndarray]:
    white = rng.standard_normal((2, N_TRS, 5))
    first, second = scaled(lfilter([1], [1, -ALIKE], white, axis=1))
    return {"first": first, "second": second}


def flipped_p(values: np.ndarray, rng: np.random.Generator) -> float:
    """Smallest max-T p of sign flips of people, ``values`` (n_people, n_places)."""
    signs = rng.choice([-1, 1], (N_NULLS, len(values)))
    signs[0] = 1
    means = signs @ values / len(values)
    spread = np.sqrt((values**2).mean(axis=0) - means**2)
    highest = (means / spread).max(axis=1)
    return float((highest >= highest[0]).mean())


def one_draw(
    seed: int, shared: float, explained: float, only_isc: bool = False
) -> dict[str, float]:
    """Smallest p of each score and correction."""
    rng = np.random.default_rng([9, seed])
    film = bands(rng)
    bold = brains(rng, shared, explained, film["second"])
    values, nulls, found = {}, {}, {}
    if not only_isc:
        values, nulls, found = of_ridge(bold, film, seed)
    if shared + explained == 0:
        values["isc"] = isc(bold)
        nulls["isc"] = isc_nulls(bold, np.zeros(N_TRS, int), N_NULLS, seed)
    edges = grid_edges(np.ones(SHAPE, bool))
    for name, own in values.items():
        group = null_maps(own.mean(axis=0), nulls[name], edges)
        positive = own.mean(axis=0) > 0  # of others no p below 1 is given
        found[f"{name} max-T"] = group.p_max[positive].min(initial=1.0)
        found[f"{name} TFCE"] = group.p_tfce[positive].min(initial=1.0)
        found[f"{name} flips"] = flipped_p(own, rng)
    return found


def of_ridge(bold: np.ndarray, film: dict[str, np.ndarray], seed: int) -> tuple[dict, dict, dict]:
    """Maps of `SCORES`, their nulls, and p of one voxel."""
    folds = held_out_folds(np.zeros(N_TRS), GAP)
    options = {"n_shifts": N_NULLS, "n_shift_maps": N_NULLS, "n_iter": 2, "seed": seed}
    maps = linear_maps(bold, [ClockGroup(list(range(N_PEOPLE)), film)], folds, **options)
    values = {name: maps[name].values for name in SCORES}
    nulls = {name: maps[f"{name}_nulls"].values for name in SCORES}
    return values, nulls, {"r_first, one voxel": float(maps["r_first_p"][0])}


def main() -> None:
    """Print a line per share that people have in common."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--shared", type=float, nargs="+", default=[0.0, 0.1, 0.3])
    parser.add_argument("--explained", type=float, default=0.0)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--isc", action="store_true", help="ISC alone, where nothing is shared")
    options = parser.parse_args()
    for shared in [0.0] if options.isc else options.shared:
        hits = defaultdict(list)
        for draw in range(options.first, options.first + options.draws):
            for name, p in one_draw(draw, shared, options.explained, options.isc).items():
                hits[name].append(p <= 0.05)
        print(f"shared {shared}, explained {options.explained}, {options.draws} draws")
        for name, hit in hits.items():
            low, high = binomtest(sum(map(bool, hit)), len(hit)).proportion_ci(method="exact")
            print(f"  {name:<22}{np.mean(hit):.3f} ({low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main()
