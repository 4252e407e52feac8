"""Features of the film itself decoded from BOLD: no trained network comes in.

A fold's held-out seconds are then unseen by all that decodes them, whatever a network was trained
on.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from giblet.alignment.dataset import FilmData
from giblet.alignment.voxels import Regions
from giblet.audio.model_features import mean_in_bins
from giblet.config.sections import DecodingConfig
from giblet.evaluation.brain_scores import decode_brains, identification_rows
from giblet.evaluation.scores import score_table
from giblet.film.modalities import modality_of
from giblet.stats.ridge import scale_by_training

_NAMES = {"bottleneck_r": "feature_r"}
_FEWEST_FEATURES = 2  # one value of a TR correlates with nothing


def feature_spaces(film: xr.Dataset, name: str, t_r: float, processor=None) -> dict:
    """Space → the film's features by TR, (n_trs, n_features), as `film_regressors` reads them.

    ``name`` is that of a modality without spaces of its own. Empty where ``film`` has nothing.
    Samples of a TR are averaged. ``processor`` is needed for sound.
    """
    if not film.data_vars:
        return {}
    modality = modality_of(film)
    values, rate_hz = modality.regressors(film, t_r, processor)
    by_tr = mean_in_bins([values], rate_hz, t_r, film.sizes["tr"])
    space = f"{modality.name}_space"
    if space not in film.coords:
        return {name: by_tr}
    own = film[space].values.astype(str)
    return {f"{modality.name}_{one}": by_tr[:, own == one] for one in dict.fromkeys(own)}


def decode_features(
    spaces: Mapping[str, np.ndarray],
    data: FilmData,
    t_r: float,
    decoding: DecodingConfig,
    seed: int,
    regions: Regions | None = None,
) -> pd.DataFrame:
    """Table of scores of features decoded from BOLD in the test TRs.

    ``path`` is ``features_`` and the space. ``spaces`` name → (n_trs, n_features), scaled here by
    training TRs. Those that have fewer than two columns that vary are left out. Rows as of
    `giblet.evaluation.brain_scores.identification_rows`, with the features in the bottleneck's
    place: ``feature_r`` is the mean correlation over TRs.
    """
    train, tables = data.where("train"), []
    for name, values in spaces.items():
        scaled = scale_by_training(values, train).astype(np.float32)
        scaled = scaled[:, scaled[train].std(axis=0) > 0]
        if scaled.shape[1] < _FEWEST_FEATURES:
            continue
        decoded = decode_brains(scaled, data, t_r, decoding, regions)
        rows = identification_rows(decoded, scaled, data, t_r, decoding, seed)
        tables.append(score_table(f"features_{name}", rows))
    if not tables:
        return score_table("", [])
    table = pd.concat(tables, ignore_index=True)
    return table.assign(metric=table["metric"].replace(_NAMES))
