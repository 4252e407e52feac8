"""The best linear readout of a bottleneck: every subject's voxels, by ridge."""

from itertools import accumulate

import numpy as np
import torch

from giblet.alignment.dataset import FilmData
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks
from giblet.stats.ridge import banded_weights, folds_within

_N_MIXTURES = 10  # of bands that ridge tries, about


def fit_readout(autoencoder: Autoencoder, data: FilmData) -> None:
    """Replace the readouts of an autoencoder by those that ridge finds on training TRs.

    A penalty for each band of `Autoencoder.slow` and voxel (`giblet.stats.banded_weights`), subject
    by subject. What ridge predicts for all of them is then reduced to the components that they
    share best (`reduce_rank`).
    """
    decoder, train = autoencoder.decoders["bold"], data.where("train")
    slow = blurred_bottlenecks(autoencoder, bottlenecks(autoencoder, data), data.run)[train]
    ends = list(accumulate(autoencoder.slow_widths.values()))
    bands = np.split(slow.astype(np.float64), ends[:-1], axis=1)
    fitted = []
    for subject, bold in enumerate(data.bold.numpy()):
        folds = folds_within(data.penalty_folds(train, subject), train)
        options = {"folds": folds, "n_iter": _N_MIXTURES}
        fitted.append(banded_weights(bands, bold[train], **options))
    weights, offsets = (np.concatenate(parts, axis=-1) for parts in zip(*fitted, strict=True))
    components, readouts = reduce_rank(weights, slow, decoder.components.out_features)
    n_subjects = len(decoder.readouts)
    with torch.no_grad():
        n_trained = decoder.components.in_features
        decoder.components.weight.copy_(torch.from_numpy(components[:n_trained].T))
        decoder.decoded.copy_(torch.from_numpy(components[n_trained:].T))
        parts = zip(np.split(readouts, n_subjects, 1), np.split(offsets, n_subjects), strict=True)
        for readout, (weight, offset) in zip(decoder.readouts, parts, strict=True):
            readout.weight.copy_(torch.from_numpy(weight.T))
            readout.bias.copy_(torch.from_numpy(offset))


def reduce_rank(weights: np.ndarray, x: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """``weights`` (n_features, n_targets) as ``components @ readouts`` of ``rank``.

    What they predict for ``x`` (n_samples, n_features) is projected on its first principal
    components: reduced-rank ridge (Mukherjee & Zhu 2011). Components (n_features, rank), the last
    ones 0 where fewer suffice; readouts (rank, n_targets).
    """
    # rotated in time: (n_features, n_targets), however many samples there are
    predicted = np.linalg.qr(x - x.mean(axis=0), mode="r") @ weights
    _left, singular, right = np.linalg.svd(predicted, full_matrices=False)
    n_used = min(rank, int((singular > 1e-9 * singular.max(initial=0.0)).sum()))
    readouts = np.zeros((rank, weights.shape[1]))
    readouts[:n_used] = right[:n_used]
    return weights @ readouts.T, readouts
