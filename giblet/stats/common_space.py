"""Functional alignment: people's voxels into a space in which they respond alike to one film.

Everything is fitted to TRs that are given, the training TRs: test TRs never come in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from giblet.errors import GibletError
from giblet.stats.ridge import Folds, banded_weights

Alignment = Literal["none", "procrustes", "srm", "ridge"]
ALIGNMENTS: tuple[Alignment, ...] = get_args(Alignment)
FEWEST_TRS = 10  # that everyone was scanned in
_ROUNDING = 1e-10  # share of the largest singular value


@dataclass(frozen=True)
class Transform:
    """One person's way into the common space, and out of it; None leaves voxels as they are.

    into : (n_voxels, n_features)
    out_of : (n_features, n_voxels)
    """

    into: np.ndarray | None = None
    out_of: np.ndarray | None = None

    def to_common(self, bold: np.ndarray) -> np.ndarray:
        """``bold`` (n_trs, n_voxels) in the common space, (n_trs, n_features)."""
        return bold if self.into is None else bold @ self.into

    def to_voxels(self, features: np.ndarray) -> np.ndarray:
        """``features`` (n_trs, n_features) of the common space in this person's voxels."""
        return features if self.out_of is None else features @ self.out_of


@dataclass(frozen=True)
class CommonSpace:
    """The space that `fit_common_space` finds, and the transforms of the people it was made of.

    template : (n_trs, n_features) of the TRs it was fitted to; NaN where someone was not scanned
    """

    method: Alignment
    template: np.ndarray
    people: tuple[Transform, ...]

    def join(self, bold: np.ndarray, folds: Folds | None = None) -> Transform:
        """The transform of a person who is not in the template, which stays as it is.

        ``bold`` (n_trs, n_voxels) z-scored, of the TRs of the template; NaN in TRs that are not to
        be used. ``folds`` as of `fit_common_space`. Raises GibletError where fewer than 10 TRs are
        common, but for ``none``.
        """
        if bold.shape[0] != len(self.template):
            raise ValueError(f"bold must have the template's {len(self.template)} TRs")
        common = _common_trs(self.method, np.isfinite(bold), np.isfinite(self.template))
        own = _common_folds(folds, common)
        return _transform(self.method, bold[common], self.template[common], own)


def fit_common_space(
    bold: np.ndarray,
    method: Alignment,
    n_features: int = 50,
    n_iter: int = 10,
    folds: Folds | None = None,
) -> CommonSpace:
    """A common space of people who saw the same film; that of one person is their own.

    ``none``: voxels as they are, the template is the people's mean. ``procrustes``: rotations of
    voxels to a template that is the mean of the rotated people, in turn (generalised Procrustes
    analysis, Gower 1975; hyperalignment, Haxby et al. 2011). ``srm``: the deterministic shared
    response model (Chen et al. 2015), orthonormal maps to ``n_features`` time courses that are the
    mean of the mapped people, in turn. ``ridge``: the mean of the others, predicted by ridge.
    With fewer TRs than voxels rotations keep the directions that vary in those TRs alone.

    Parameters
    ----------
    bold : (n_people, n_trs, n_voxels)
        Z-scored; training TRs of the people in the template. NaN in TRs in which someone was not
        scanned: only TRs of everyone are used.
    n_features
        Of ``srm``, at most; not more than TRs or voxels.
    n_iter
        Of ``procrustes`` and ``srm``: rounds of maps and mean.
    folds
        Of ``ridge``: (train, test) indices of these TRs, which choose penalties; by default, and
        where no fold has 10 common training TRs and a common test TR, five contiguous blocks.

    Raises
    ------
    GibletError
        Fewer than 10 TRs in which everyone was scanned, but for ``none``.

    >>> rng = np.random.default_rng(0)
    >>> one = rng.standard_normal((60, 5))
    >>> turn, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    >>> space = fit_common_space(np.stack([one, one @ turn]), "procrustes")
    >>> bool(np.allclose(space.people[1].to_common(one @ turn), one))
    True
    """
    common = _common_trs(method, *np.isfinite(bold))
    series = [one[common].astype(np.float64) for one in bold]
    template, people = _FITS[method](series, n_features, n_iter, _common_folds(folds, common))
    whole = np.full((bold.shape[1], template.shape[1]), np.nan)
    whole[common] = template
    return CommonSpace(method, whole, tuple(people))


def _common_trs(method: Alignment, *finite: np.ndarray) -> np.ndarray:
    """TRs (n_trs,) bool in which all of ``finite`` (n_trs, n_columns) are."""
    common = np.logical_and.reduce([one.all(axis=1) for one in finite])
    if method != "none" and common.sum() < FEWEST_TRS:
        raise GibletError(
            f"scan.alignment: {common.sum()} training TRs are common to all subjects, and "
            f"alignment needs {FEWEST_TRS}: look at the runs of each subject, or use "
            '"none"'
        )
    return common


def _common_folds(folds: Folds | None, common: np.ndarray) -> Folds:
    """``folds`` as positions among the TRs ``common`` (n_trs,) bool; without those that are left
    too short.

    >>> shared, rows = np.arange(30) != 3, np.arange(20)
    >>> [(len(own), held.tolist()) for own, held in _common_folds([(rows, [3, 20])], shared)]
    [(19, [19])]
    """
    place, left = np.cumsum(common) - 1, []
    for fold in folds or ():
        own, held = (place[part][common[part]] for part in map(np.asarray, fold))
        if len(own) >= FEWEST_TRS and len(held):
            left.append((own, held))
    return left


Fitted = tuple[np.ndarray, list[Transform]]


def _as_they_are(
    series: Sequence[np.ndarray], n_features: int, n_iter: int, folds: Folds
) -> Fitted:
    return np.mean(series, axis=0), [Transform() for _ in series]


def _procrustes(series: Sequence[np.ndarray], n_features: int, n_iter: int, folds: Folds) -> Fitted:
    template = series[0]
    for n, one in enumerate(series[1:], start=1):  # a first template, person after person
        template = (n * template + one @ rotation(one, template)) / (n + 1)
    return _in_turn(series, template, n_iter)


def _shared_response(
    series: Sequence[np.ndarray], n_features: int, n_iter: int, folds: Folds
) -> Fitted:
    gram = sum(one @ one.T for one in series)  # (n_trs, n_trs), whatever the voxels' order
    n_features = min(n_features, *series[0].shape)
    values, vectors = np.linalg.eigh(gram)
    sizes = np.sqrt(np.maximum(values[::-1][:n_features], 0) / len(series))
    return _in_turn(series, vectors[:, ::-1][:, :n_features] * sizes, n_iter)


def _in_turn(series: Sequence[np.ndarray], template: np.ndarray, n_iter: int) -> Fitted:
    """The template as the mean of people who are rotated to it, ``n_iter`` times."""
    for _ in range(n_iter):
        template = np.mean([one @ rotation(one, template) for one in series], axis=0)
    maps = [rotation(one, template) for one in series]
    return template, [Transform(turn, turn.T) for turn in maps]


def _to_others(series: Sequence[np.ndarray], n_features: int, n_iter: int, folds: Folds) -> Fitted:
    mean, n = np.mean(series, axis=0), len(series)
    if n == 1:
        return mean, [Transform()]
    others = [(n * mean - one) / (n - 1) for one in series]
    return mean, [_ridge(one, other, folds) for one, other in zip(series, others, strict=True)]


_FITS = {
    "none": _as_they_are,
    "procrustes": _procrustes,
    "srm": _shared_response,
    "ridge": _to_others,
}


def _transform(
    method: Alignment, bold: np.ndarray, template: np.ndarray, folds: Folds
) -> Transform:
    """Of one person, to a template that is not changed; both of the same TRs."""
    if method == "none":
        return Transform()
    if method == "ridge":
        return _ridge(bold, template, folds)
    turn = rotation(bold.astype(np.float64), template)
    return Transform(turn, turn.T)


def _ridge(bold: np.ndarray, template: np.ndarray, folds: Folds) -> Transform:
    """Ridge there and back, a penalty a column by ``folds``; BOLD is z-scored: no offset."""
    there, back = ((bold, template), (template, bold))
    return Transform(*(banded_weights([x], y, folds=folds)[0] for x, y in (there, back)))


def rotation(bold: np.ndarray, template: np.ndarray) -> np.ndarray:
    """The orthogonal map (n_voxels, n_features) that brings ``bold`` closest to ``template``.

    The polar factor of ``bold.T @ template`` (Schönemann 1966), of its rank: the identity on what
    varies in these TRs (n_trs, …), 0 on the rest. With ``template`` of as many columns and with
    more TRs than voxels it is ``scipy.linalg.orthogonal_procrustes``.
    """
    if len(bold) < min(bold.shape[1], template.shape[1]):  # rotated in time: a small product
        left, inner = np.linalg.qr(bold.T)
        right, outer = np.linalg.qr(template.T)
        turn, sizes, back = np.linalg.svd(inner @ outer.T, full_matrices=False)
        turn, back = left @ turn, back @ right.T
    else:
        turn, sizes, back = np.linalg.svd(bold.T @ template, full_matrices=False)
    kept = sizes > _ROUNDING * sizes.max(initial=0.0)
    return turn[:, kept] @ back[kept]
