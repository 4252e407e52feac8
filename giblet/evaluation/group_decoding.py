"""People decoded together, and a person by a decoder of other people, in a common space.

The space is fitted to training TRs: test TRs pass through the transforms alone.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, voxels_to_read
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.evaluation.decoding import decode_subject, lagged, lags_in_trs
from giblet.evaluation.moments import BRAIN, GROUP
from giblet.stats.common_space import CommonSpace, Transform, fit_common_space
from giblet.stats.ridge import Folds, fit_ridge, folds_within

logger = logging.getLogger(__name__)


def space_of(
    bold: np.ndarray, train: np.ndarray, scan: ScanConfig, folds: Folds | None = None
) -> CommonSpace:
    """The common space of people's training TRs, by ``scan.alignment``.

    ``bold`` (n_people, n_trs, n_voxels) z-scored; ``train`` TR indices; ``folds`` of TR indices,
    `FilmData.penalty_folds` of everyone. Raises the errors of `fit_common_space`.
    """
    options = {"folds": folds_within(folds, train)}
    return fit_common_space(bold[:, train], scan.alignment, scan.alignment_features, **options)


def mean_person(
    bold: np.ndarray, train: np.ndarray, scan: ScanConfig, folds: Folds | None = None
) -> np.ndarray:
    """The mean of people in their common space, (n_trs, n_features); arguments of `space_of`."""
    return mean_in_space(space_of(bold, train, scan, folds), bold)


def mean_in_space(space: CommonSpace, series: np.ndarray) -> np.ndarray:
    """The mean of people's ``series`` (n_people, n_trs, n_voxels) there, (n_trs, n_features)."""
    pairs = zip(space.people, series, strict=True)
    return np.mean([person.to_common(one) for person, one in pairs], axis=0)


def decode_together(
    code: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    regions: Regions | None = None,
) -> dict[str, list[np.ndarray]]:
    """Bottlenecks of test TRs of all subjects together: the column ``brain_group``.

    None of one subject, with a warning where ``scan.alignment`` asks for more. ``code`` (n_trs,
    bottleneck_dim). `voxels_to_read` chooses the voxels, by training TRs.
    """
    train, test = data.where("train"), data.where("test")
    bold = data.bold.numpy()  # (n_subjects, n_trs, n_voxels)
    if len(bold) < 2:
        if scan.alignment != "none":
            logger.warning(
                "scan.alignment %s needs two subjects or more, and there is one: there is no "
                "column %s",
                scan.alignment,
                GROUP,
            )
        return {}
    read = voxels_to_read(bold[:, train], decoding, regions)
    lags = lags_in_trs(t_r, decoding)
    folds = data.penalty_folds(train)
    decoded = decode_group(bold[..., read], data.run, code, train, test, lags, scan, folds)
    return {GROUP: [decoded[BRAIN]]}


def decode_group(
    bold: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    scan: ScanConfig,
    folds: Folds | None = None,
) -> dict[str, np.ndarray]:
    """Decode the bottleneck of test TRs from the mean of people in their common space.

    ``bold`` (n_people, n_trs, n_voxels) z-scored. The rest, and what is returned, as of
    `giblet.evaluation.decoding.decode_subject`, for the mean person.
    """
    person = mean_person(bold, train, scan, folds)
    return decode_subject(person, runs, bottleneck, train, test, lags, folds)


def decode_group_silenced(
    bold: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    scan: ScanConfig,
    silenced: Sequence[np.ndarray],
    folds: Folds | None = None,
) -> list[np.ndarray]:
    """`decode_group` of test TRs once for each set of voxels that is silenced in all people.

    Arguments as there, and ``silenced``, (n_voxels,) bool each; fitted once, on intact training
    TRs. Silenced voxels are 0 in test TRs, before people are brought into the common space.
    """
    people = space_of(bold, train, scan, folds).people

    def features(kept: np.ndarray) -> np.ndarray:
        pairs = zip(people, bold * kept, strict=True)
        return lagged(np.mean([t.to_common(one) for t, one in pairs], axis=0), runs, lags)

    intact = features(np.ones(bold.shape[-1]))
    ridge = fit_ridge(intact[train], bottleneck[train], folds_within(folds, train))
    return [ridge.predict(features(~voxels)[test]) for voxels in silenced]


@dataclass(frozen=True)
class DecoderOfOthers:
    """A decoder of some people in their common space, for a person who is not among them.

    ``ridge`` has each of their TRs as a sample: lagged features → bottleneck.
    """

    space: CommonSpace
    lags: range
    ridge: Any

    @classmethod
    def fit(
        cls,
        others: np.ndarray,
        runs: np.ndarray,
        bottleneck: np.ndarray,
        train: np.ndarray,
        lags: range,
        scan: ScanConfig,
        folds: Folds | None = None,
    ) -> Self:
        """Of ``others`` (n_others, n_trs, n_voxels) z-scored, by training TRs alone.

        Samples are sorted by TR, so that the folds in which ridge chooses its penalty hold out
        seconds of the film, not people. ``folds`` as of `decode_subject`.
        """
        space = space_of(others, train, scan, folds)
        pairs = zip(space.people, others, strict=True)
        x = np.stack([lagged(t.to_common(one), runs, lags)[train] for t, one in pairs], axis=1)
        y = np.repeat(bottleneck[train], len(others), axis=0)
        people = np.arange(len(others))
        samples = [
            tuple((part[:, None] * len(others) + people).ravel() for part in fold)
            for fold in folds_within(folds, train)
        ]
        return cls(space, lags, fit_ridge(x.reshape(len(y), -1), y, samples))

    def decode(
        self, person: Transform, bold: np.ndarray, runs: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        """Bottlenecks (n_test, bottleneck_dim) of the person's ``bold`` (n_trs, n_voxels).

        ``person`` is what ``space.join`` made of the person's training TRs.
        """
        return self.ridge.predict(lagged(person.to_common(bold), runs, self.lags)[test])


def decode_from_others(
    others: np.ndarray,
    own: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    scan: ScanConfig,
    folds: Folds | None = None,
) -> np.ndarray:
    """Decode one person's test TRs by a decoder of ``others``: (n_test, bottleneck_dim).

    Of ``own`` (n_trs, n_voxels) training TRs give the transform into the common space of
    ``others`` (n_others, n_trs, n_voxels), which are all that space and decoder are fitted to.
    """
    none = np.zeros(own.shape[1], dtype=bool)
    parts = (runs, bottleneck, train, test, lags, scan)
    return decode_from_others_silenced(others, own, *parts, [none], folds)[0]


def decode_from_others_silenced(
    others: np.ndarray,
    own: np.ndarray,
    runs: np.ndarray,
    bottleneck: np.ndarray,
    train: np.ndarray,
    test: np.ndarray,
    lags: range,
    scan: ScanConfig,
    silenced: Sequence[np.ndarray],
    folds: Folds | None = None,
) -> list[np.ndarray]:
    """`decode_from_others` once for each set of ``own`` voxels, (n_voxels,) bool, that is silenced.

    Silenced voxels are 0 in test TRs, before the person is brought into the common space.
    """
    decoder = DecoderOfOthers.fit(others, runs, bottleneck, train, lags, scan, folds)
    person = decoder.space.join(own[train], folds_within(folds, train))
    return [decoder.decode(person, own * ~voxels, runs, test) for voxels in silenced]
