"""ISC of BOLD with random phases, without going back to time: products of spectra."""

from itertools import combinations

import numpy as np

from giblet.encoding import cosine, unit_series
from giblet.significance import random_phases

_MANY = 40  # subjects: from here on sums cost less than pairs


def isc_nulls(bold: np.ndarray, runs: np.ndarray, n_permutations: int, seed: int) -> np.ndarray:
    """Mean leave-one-out ISC under ``phase_randomised`` runs, (n_permutations, n_voxels) float32.

    A correlation is a sum over frequencies of products of two spectra (Parseval), and random phases
    turn each product by the difference of two angles. So the nulls of a pair of subjects are one
    matrix product, (n_permutations, 2 n_frequencies) by (2 n_frequencies, n_voxels); means of
    others are sums over pairs, or of many subjects sums over all. The draws are those of
    ``phase_randomised``, run by run.

    ``bold`` (n_subjects, n_trs, n_voxels), two subjects or more; ``runs`` (n_trs,) labels. NaN in
    voxels without a subject that has an ISC.
    """
    series, present = unit_series(bold)
    n_subjects, _n_trs, n_voxels = series.shape
    lengths = [np.flatnonzero(runs == run) for run in np.unique(runs)]
    spectra = _spectra(series, lengths)
    turns = _turns(n_subjects, lengths, n_permutations, seed)
    products = np.zeros((n_subjects, n_permutations, n_voxels), dtype=np.float32)
    products += present[:, None]  # of each series with itself, then with the others
    (_add_pairs if n_subjects < _MANY else _add_others)(products, spectra, turns)
    power = products.sum(axis=0)
    r = cosine(products - 1, power - 2 * products + 1, present[:, None])
    counted = np.isfinite(r).sum(axis=0)
    total = np.where(np.isnan(r), 0.0, r).sum(axis=0)
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


def _add_pairs(products: np.ndarray, spectra: np.ndarray, turns: np.ndarray) -> None:
    """Add to ``products`` those with the others: a matrix product for each pair of subjects."""
    for one, other in combinations(range(len(spectra)), 2):
        pair = spectra[one] * spectra[other].conj()
        turn = turns[one] * turns[other].conj()
        product = np.hstack([turn.real, turn.imag]) @ np.vstack([pair.real, -pair.imag])
        products[one] += product
        products[other] += product


def _add_others(products: np.ndarray, spectra: np.ndarray, turns: np.ndarray) -> None:
    """The same by the sum of all subjects, null by null: its time grows with their number."""
    for null, turn in enumerate(turns.swapaxes(0, 1)):  # (n_subjects, n_frequencies)
        total = np.zeros_like(spectra[0])
        for angles, own in zip(turn, spectra, strict=True):
            total += angles[:, None] * own
        for place, (angles, own) in enumerate(zip(turn, spectra, strict=True)):
            others = total - angles[:, None] * own
            products[place, null] += (angles.conj() @ (own.conj() * others)).real


def _spectra(series: np.ndarray, runs: list[np.ndarray]) -> np.ndarray:
    """Spectra of all runs side by side, (n_subjects, n_frequencies, n_voxels) complex64, scaled so
    that the products of two add up to the product of the series."""
    parts = []
    for trs in runs:
        weights = np.full(len(trs) // 2 + 1, 2.0)
        weights[0] = 1.0
        if len(trs) % 2 == 0:
            weights[-1] = 1.0
        scale = np.sqrt(weights / len(trs))[:, None]
        parts.append((np.fft.rfft(series[:, trs], axis=1) * scale).astype(np.complex64))
    return np.concatenate(parts, axis=1)


def _turns(n_subjects: int, runs: list[np.ndarray], n_permutations: int, seed: int) -> np.ndarray:
    """exp(i phase), (n_subjects, n_permutations, n_frequencies) complex64."""
    rng = np.random.default_rng(seed)
    drawn = [
        np.concatenate([random_phases((n_subjects,), len(trs), rng) for trs in runs], axis=1)
        for _ in range(n_permutations)
    ]
    n_frequencies = sum(len(trs) // 2 + 1 for trs in runs)
    phases = np.reshape(drawn, (n_permutations, n_subjects, n_frequencies))
    return np.exp(1j * phases).astype(np.complex64).swapaxes(0, 1)
