"""The slow part of the bottleneck decoded from every brain, for the anchored prior."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions, voxels_to_read
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.sections import DecodingConfig, ScanConfig
from giblet.errors import GibletError
from giblet.evaluation.decoding import lagged, lags_in_trs
from giblet.evaluation.group_decoding import mean_person
from giblet.evaluation.moments import BRAIN, GROUP
from giblet.evaluation.slow_part import SlowDecoder, SlowSpace, choose_smoothing
from giblet.stats.cross_validation import purged_folds
from giblet.stats.ridge import folds_within
from giblet.timing import trs_for

logger = logging.getLogger(__name__)

_GAP_SECONDS = 16.0  # between folds of training TRs, as of the shifts of a null


@dataclass(frozen=True)
class Conditions:
    """The slow part as each column has it, by column one of each subject."""

    space: SlowSpace
    true: np.ndarray  # (n_trs, n_components)
    decoders: Mapping[str, Sequence[SlowDecoder]]
    decoded: Mapping[str, Sequence[np.ndarray]]  # (n_test, n_components) each
    smoothing_scores: Mapping[float, float]


def audio_slow(autoencoder: Autoencoder, code: np.ndarray) -> np.ndarray:
    """Sound's band of the slow part of bottlenecks (n_trs, bottleneck_dim): (n_trs, n_features).

    Its mean over the slots of a TR; of a flat bottleneck all features.
    """
    join = autoencoder.join
    with torch.inference_mode():
        slow = join.slow(torch.from_numpy(np.asarray(code, dtype=np.float32)))
    return slow[:, : next(iter(join.slow_widths.values()))].numpy().astype(np.float64)


def slow_conditions(
    autoencoder: Autoencoder,
    code: np.ndarray,
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    regions: Regions | None = None,
) -> Conditions:
    """Decode the slow part of every brain; every choice is made on training TRs.

    Folds that choose, and that measure the uncertainty, keep whole stimuli where there are many.
    """
    train, test = data.where("train"), data.where("test")
    places = data.stretches("train")
    stretches = [np.searchsorted(train, one) for one in places]
    by_stimuli = folds_within(data.penalty_folds(train), train)
    folds = by_stimuli or purged_folds(np.zeros(len(train)), trs_for(_GAP_SECONDS, t_r))
    x = lagged_brains(data, t_r, decoding, scan, regions)
    slow = audio_slow(autoencoder, code)
    if not SlowSpace.fit(slow[train], 0.0, stretches).basis.shape[1]:
        raise GibletError("anchored_prior: the bottleneck of the training TRs' sound never changes")
    clip_trs = trs_for(decoding.clip_seconds, t_r)
    smoothing, scores = choose_smoothing(
        slow[train],
        [one[train] for one in x.get(BRAIN, ())],
        stretches,
        folds,
        clip_trs,
        by_stimuli,
    )
    space = SlowSpace.fit(slow[train], smoothing, stretches)
    true = np.zeros((len(slow), space.basis.shape[1]))
    for part in ("train", "test"):
        true_part = data.stretches(part)
        inside = np.concatenate(true_part)
        true[inside] = space.components(slow, true_part)[inside]
    decoders = {
        column: [SlowDecoder.fit(one[train], true[train], folds, by_stimuli) for one in brains]
        for column, brains in x.items()
    }
    for column, several in decoders.items():
        n_empty = sum(not d.information.any() for d in several)
        if n_empty:
            logger.warning(
                "anchored_prior: in %d of %d of %s no component of the slow part is decoded in "
                "held-out training TRs: what is retrieved there has nothing of the brain",
                n_empty,
                len(several),
                column,
            )
    decoded = {
        column: [d.decode(one[test]) for d, one in zip(decoders[column], brains, strict=True)]
        for column, brains in x.items()
    }
    return Conditions(space, true, decoders, decoded, scores)


def lagged_brains(
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    scan: ScanConfig,
    regions: Regions | None = None,
) -> dict[str, list[np.ndarray]]:
    """Lagged BOLD (n_trs, n_columns) of each subject, and of subjects together where there are
    two or more."""
    train, bold = data.where("train"), data.bold.numpy()
    read = voxels_to_read(bold[:, train], decoding, regions)
    lags = lags_in_trs(t_r, decoding)
    x = {BRAIN: [lagged(one, data.run, lags) for one in bold[..., read]]}
    if len(bold) > 1:
        mean = mean_person(bold[..., read], train, scan, data.penalty_folds(train))
        x[GROUP] = [lagged(mean, data.run, lags)]
    else:
        logger.warning("anchored_prior: there is one subject, so there is no column %s", GROUP)
    return x
