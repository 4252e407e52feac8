"""The music demo finds what was planted in SIMULATED listeners; another piece and noise do not.

In large voxels, by the functions that the rules call. Still open here: decoding of scores from
these brains (``reconstruct_score``).
"""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from giblet.alignment.regressors import film_regressors
from giblet.audio.processor import AudioProcessor
from giblet.brain.bold import load_bids, null_series
from giblet.brain.regions import find_regions
from giblet.commands.music import render
from giblet.config.config import parse_config
from giblet.demo import music_path
from giblet.demo.bids_writer import simulate_listeners
from giblet.demo.listening import listening_features
from giblet.evaluation.quality import brain_quality
from giblet.evaluation.region_maps import region_table
from giblet.io.tables import load_yaml
from giblet.music.midi import read_midi
from giblet.music.model import load
from giblet.music.ngrams import NgramModel
from giblet.music.score_features import Listening
from giblet.music.score_trs import score_on_trs

pytestmark = pytest.mark.slow
CONFIG = parse_config(load_yaml(Path(__file__).parents[2] / "config" / "music.yaml"))
T_R, N_TRS = CONFIG.t_r, 365
OWN = {
    "auditory": "mel",
    "surprisal": "score_expectation",
    "tonal": "score_harmony",
    "form": "score_form",
}
SCORE = music_path()
QUICK = {"n_permutations": 5, "n_shifts": 200, "n_iter": CONFIG.quality.n_iter}


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """The sound, as rule ``render_music`` makes it."""
    path = tmp_path_factory.mktemp("music") / "demo_music.wav"
    render(SCORE, path)
    return path


@pytest.fixture(scope="module")
def scans(tmp_path_factory, music):
    """Three listeners' scans of the voxels in regions, and these regions."""
    folder = tmp_path_factory.mktemp("listeners") / "bids"
    heard = listening_features(music, SCORE)
    simulate_listeners(folder, *heard, T_R, n_subjects=3, resolution_mm=12)
    arrays = load_bids(folder, high_pass_hz=CONFIG.scan.high_pass_hz)
    regions = find_regions(arrays, folder)
    shutil.rmtree(folder)
    inside = np.any(list(regions.values()), axis=0)
    return arrays.isel(voxel=inside), {name: own[inside] for name, own in regions.items()}


@pytest.fixture(scope="module")
def sound(scans, music):
    """Regressors of the sound."""
    processor = AudioProcessor.from_config(CONFIG, CONFIG.path)
    features, _ = processor.audio_to_features(music, max_trs=N_TRS)
    film = xr.Dataset({"audio": (("tr", "row", "frame"), features)})
    return film_regressors(film, scans[0], T_R, "spm", processor)


@pytest.fixture(scope="module")
def features():
    """Of the score in TRs, with the bundled model."""
    return score_on_trs(Listening(read_midi(SCORE), load("bundled"), NgramModel()), T_R, N_TRS)


@pytest.fixture(scope="module")
def score(scans, features):
    return film_regressors(features, scans[0], T_R, "spm")


def unique(scans, **regressors):
    """Unique variance of each band in each region."""
    arrays, regions = scans
    quality = brain_quality(arrays, regressors, T_R, **QUICK)
    table = region_table(quality, regions).set_index("region").filter(like="unique_")
    print(table.round(3).T.to_string())
    return table.rename(columns=lambda name: name.removeprefix("unique_"))


@pytest.fixture(scope="module")
def found(scans, sound, score):
    return unique(scans, mel=sound, score=score)


@pytest.mark.parametrize("region", OWN)
def test_each_regions_own_features_explain_most_of_what_one_kind_explains_alone(found, region):
    own = found.loc[region, OWN[region]]
    others = found.loc[region].drop(OWN[region])
    assert own > 0.03
    assert own >= 3 * others.max()


def columns(score, start):
    """Only the columns of a score that begin so."""
    kept = np.char.startswith(score["value"].values.astype(str), start)
    return score.isel(feature=np.flatnonzero(kept))


def beyond_acoustics(scans, sound, score):
    """What the transformer's surprisal explains beyond sound and notes, in the surprisal region."""
    notes = score.isel(feature=np.flatnonzero(score["space"].values.astype(str) == "notes"))
    bands = {"mel": sound, "notes": notes, "model": columns(score, "model_surprisal")}
    plain = {name: band.drop_vars("space", errors="ignore") for name, band in bands.items()}
    return unique(scans, **plain)["model"]


def test_the_transformers_surprisal_predicts_the_surprisal_region_beyond_acoustics(
    scans, sound, score
):
    """It never saw the n-grams that the region follows; and it predicts no other region so."""
    explained = beyond_acoustics(scans, sound, score)
    assert explained["surprisal"] > 0.03
    assert explained["surprisal"] >= 3 * explained.drop("surprisal").max()


def test_surprisal_of_other_songs_predicts_nothing(scans, features, sound, score):
    """The music's other half."""
    other = film_regressors(features.roll(tr=N_TRS // 2), scans[0], T_R, "spm")
    mixed = score.copy(deep=True)
    mine = np.char.startswith(score["value"].values.astype(str), "model_surprisal")
    mixed["regressors"][:, mine] = other["regressors"].values[:, mine]
    assert beyond_acoustics(scans, sound, mixed)["surprisal"] < 0.01


def test_noise_of_the_same_spectrum_has_nothing_of_any(scans, sound, score):
    """As ``scan.null`` makes it."""
    arrays, regions = scans
    noise = arrays.copy(deep=True)
    who = np.char.add(arrays["subject"].values.astype(str), arrays["run"].values.astype(str))
    for one in np.unique(who):
        here = np.flatnonzero(who == one)
        noise["bold"][here] = null_series(arrays["bold"].values[here], CONFIG.seed, one)
    of_noise = unique((noise, regions), mel=sound, score=score)
    assert all(of_noise.loc[region, own] < 0.02 for region, own in OWN.items())
    assert of_noise.max().max() < 0.03
