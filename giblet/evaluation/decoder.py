"""A decoder of bottlenecks from one subject's BOLD: fitted once, read as often as one likes."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from giblet.config.sections import DecodingConfig
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.stats.ridge import fit_ridge
from giblet.timing import check_t_r

_REAL = "fiu"  # kinds of dtype
_FARTHEST = 3.0  # deviations: means of 20 TRs of z-scored BOLD are rarely larger
_FEWEST_TRS = 20


@dataclass(frozen=True)
class Decoder:
    """Ridge regression from BOLD at several lags to bottlenecks.

    >>> rng = np.random.default_rng(0)
    >>> code = rng.standard_normal((80, 3))
    >>> bold = np.roll(code, 3, axis=0) @ rng.standard_normal((3, 20))  # 4.5 s late
    >>> decoder = Decoder.fit(bold, code, t_r=1.5, trs=np.arange(60))
    >>> decoder
    Decoder(20 voxels at 5 lags → 3 features)
    >>> again = decoder.decode(bold, trs=np.arange(60, 75))
    >>> bool(np.corrcoef(again.ravel(), code[60:75].ravel())[0, 1] > 0.9)
    True
    """

    lags: range  # TRs
    n_voxels: int
    n_features: int
    _ridge: Any = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"Decoder({self.n_voxels} voxels at {len(self.lags)} lags → {self.n_features} features)"
        )

    @classmethod
    def fit(
        cls,
        bold: np.ndarray,
        bottleneck: np.ndarray,
        t_r: float,
        runs: np.ndarray | None = None,
        trs: np.ndarray | None = None,
        decoding: DecodingConfig | None = None,
    ) -> Self:
        """A decoder, as `giblet.evaluation.decoding.decode_subject` fits it.

        Parameters
        ----------
        bold : (n_trs, n_voxels) float
            Z-scored by run; NaN where nothing was scanned.
        bottleneck : (n_trs, bottleneck_dim) float
            Of the same TRs, from ``model.encode``.
        t_r
            Repetition time, s.
        runs : (n_trs,)
            The run of each TR; None for one.
        trs : (n_training,) int, (n_trs,) bool, or a slice
            TRs to learn from; None for all. BOLD follows the film by seconds: it is also read in
            the TRs after these.
        decoding
            Lags, ``first_lag_seconds`` to ``last_lag_seconds``; by default 2 to 8 s.

        Raises
        ------
        ValueError
            Arrays of other shapes than these, infinite values, BOLD that is NaN alone or not
            z-scored, NaN in the bottlenecks of ``trs``, ``t_r`` in ms, ``trs`` that are not there,
            twice there, or fewer than two.
        """
        bold, runs = _checked(bold, runs)
        bottleneck = _masked_as_nan(bottleneck)
        if (
            bottleneck.ndim != 2
            or len(bottleneck) != len(bold)
            or bottleneck.dtype.kind not in _REAL
        ):
            raise ValueError(
                f"bottleneck must be ({len(bold)}, bottleneck_dim) float, as bold has that many "
                f"TRs, not {bottleneck.shape} {bottleneck.dtype}"
            )
        lags = lags_in_trs(check_t_r(t_r), decoding or DecodingConfig())
        chosen = _indices(trs, len(bold))
        if len(chosen) < 2:
            raise ValueError(f"trs: {len(chosen)} TRs are too few to learn from")
        bad = chosen[~np.isfinite(bottleneck[chosen].astype(float)).all(axis=1)]
        if len(bad):
            raise ValueError(
                f"bottleneck has NaN or infinite values in {len(bad)} of trs, first in TR {bad[0]}"
            )
        ridge = fit_ridge(lagged(bold, runs, lags)[chosen], bottleneck[chosen])
        return cls(lags, bold.shape[1], bottleneck.shape[1], ridge)

    def decode(
        self, bold: np.ndarray, runs: np.ndarray | None = None, trs: np.ndarray | None = None
    ) -> np.ndarray:
        """Bottlenecks (n_decoded, bottleneck_dim) float32 of ``trs`` (None: of all).

        ``bold`` (n_trs, n_voxels) and ``runs`` as for `fit`. ``model.decode_audio`` takes the
        bottlenecks to features of sound. Raises ValueError for other voxels, and as `fit` does.
        """
        bold, runs = _checked(bold, runs)
        if bold.shape[1] != self.n_voxels:
            raise ValueError(f"bold has {bold.shape[1]} voxels, the decoder reads {self.n_voxels}")
        x = lagged(bold, runs, self.lags)
        return np.asarray(self._ridge.predict(x[_indices(trs, len(x))]), dtype=np.float32)


def _checked(bold: np.ndarray, runs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    bold = _masked_as_nan(bold)
    if bold.ndim != 2 or bold.dtype.kind not in _REAL:
        raise ValueError(f"bold must be (n_trs, n_voxels) float, not {bold.shape} {bold.dtype}")
    bold = bold.astype(float, copy=False)
    _check_values(bold)
    runs = np.zeros(len(bold), dtype=int) if runs is None else np.asarray(runs)
    if runs.shape != (len(bold),):
        raise ValueError(f"runs must be ({len(bold)},), a label for each TR, not {runs.shape}")
    return bold, runs


def _masked_as_nan(values) -> np.ndarray:
    if isinstance(values, np.ma.MaskedArray):
        values = np.ma.filled(values.astype(float), np.nan)
    return np.asarray(values)


def _check_values(bold: np.ndarray) -> None:
    """ValueError for BOLD that is NaN alone, infinite, or not z-scored: 0 stands for TRs that were
    not scanned."""
    if np.isnan(bold).all():
        raise ValueError("bold has no value but NaN: nothing was scanned")
    if np.isinf(bold).any():
        raise ValueError(f"bold has {np.isinf(bold).sum()} infinite values")
    scanned = bold[:, np.isfinite(bold).sum(axis=0) >= _FEWEST_TRS]
    if not scanned.size:
        return
    far = np.abs(np.nanmean(scanned, axis=0)) > _FARTHEST * np.nanstd(scanned, axis=0)
    if np.mean(far) > 0.5:
        raise ValueError(
            "the mean of bold is far from 0: z-score each run, with the mean and deviation of its "
            "training TRs"
        )


def _indices(trs, n_trs: int) -> np.ndarray:
    """TRs as indices (n_chosen,): of None all, of a slice or a mask (n_trs,) bool those in it."""
    if trs is None or isinstance(trs, slice):
        return np.arange(n_trs)[slice(None) if trs is None else trs]
    chosen = np.asarray(trs)
    if chosen.dtype == bool and chosen.shape == (n_trs,):
        return np.flatnonzero(chosen)
    if not chosen.size:
        return np.empty(0, dtype=int)
    is_index = chosen.ndim == 1 and chosen.dtype.kind in "iu"
    if not is_index or chosen.min() < 0 or chosen.max() >= n_trs:
        raise ValueError(
            f"trs must be indices from 0 to {n_trs - 1}, a mask ({n_trs},) bool or a slice, not "
            f"{chosen.dtype} {chosen.shape}"
            + (f" from {chosen.min()} to {chosen.max()}" if is_index else "")
        )
    if len(np.unique(chosen)) < len(chosen):
        mask = f"; a mask ({n_trs},) must be bool" if chosen.shape == (n_trs,) else ""
        raise ValueError(f"trs has TRs more than once: {len(np.unique(chosen))} differ{mask}")
    return chosen
