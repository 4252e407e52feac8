"""A decoder of bottlenecks from one subject's BOLD: fitted once, read as often as one likes."""

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from giblet.config.sections import DecodingConfig
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.stats.ridge import fit_ridge


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
        trs : (n_training,) int
            TRs to learn from; None for all. BOLD follows the film by seconds: it is also read in
            the TRs after these.
        decoding
            Lags, ``first_lag_seconds`` to ``last_lag_seconds``; by default 2 to 8 s.

        Raises
        ------
        ValueError
            Arrays of other shapes than these.
        """
        bold, runs = _checked(bold, runs)
        bottleneck = np.asarray(bottleneck)
        if bottleneck.ndim != 2 or len(bottleneck) != len(bold):
            raise ValueError(
                f"bottleneck must be ({len(bold)}, bottleneck_dim), as bold has that many TRs, not "
                f"{bottleneck.shape}"
            )
        lags = lags_in_trs(t_r, decoding or DecodingConfig())
        chosen = np.arange(len(bold)) if trs is None else np.asarray(trs)
        ridge = fit_ridge(lagged(bold, runs, lags)[chosen], bottleneck[chosen])
        return cls(lags, bold.shape[1], bottleneck.shape[1], ridge)

    def decode(
        self, bold: np.ndarray, runs: np.ndarray | None = None, trs: np.ndarray | None = None
    ) -> np.ndarray:
        """Bottlenecks (n_decoded, bottleneck_dim) float32 of ``trs`` (None: of all).

        ``bold`` (n_trs, n_voxels) and ``runs`` as for `fit`. ``model.decode_audio`` takes the
        bottlenecks to features of sound. Raises ValueError for other voxels.
        """
        bold, runs = _checked(bold, runs)
        if bold.shape[1] != self.n_voxels:
            raise ValueError(f"bold has {bold.shape[1]} voxels, the decoder reads {self.n_voxels}")
        x = lagged(bold, runs, self.lags)
        return np.asarray(self._ridge.predict(x if trs is None else x[trs]), dtype=np.float32)


def _checked(bold: np.ndarray, runs: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    bold = np.asarray(bold)
    if bold.ndim != 2 or bold.dtype.kind not in "fiu":
        raise ValueError(f"bold must be (n_trs, n_voxels) float, not {bold.shape} {bold.dtype}")
    runs = np.zeros(len(bold), dtype=int) if runs is None else np.asarray(runs)
    if runs.shape != (len(bold),):
        raise ValueError(f"runs must be ({len(bold)},), a label for each TR, not {runs.shape}")
    return bold.astype(float, copy=False), runs
