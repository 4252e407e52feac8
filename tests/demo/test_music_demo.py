"""The music demo finds what was planted in SIMULATED listeners; another piece and noise do not.

With the settings of ``config/music.yaml``, by the commands of the rules; fewer nulls, and one
epoch of training.
"""

from pathlib import Path

import numpy as np
import pytest

from giblet.alignment.regressors import film_regressors
from giblet.brain.bold import null_series
from giblet.brain.regions import find_regions
from giblet.commands import film, model, scans as scan_commands
from giblet.commands.music import render
from giblet.commands.score import read_score, reconstruct_score, score_features
from giblet.config.config import parse_config
from giblet.demo import music_path
from giblet.evaluation.quality import brain_quality
from giblet.evaluation.region_maps import region_table
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table, load_yaml

pytestmark = pytest.mark.slow
SHIPPED = load_yaml(Path(__file__).parents[2] / "config" / "music.yaml")
# one epoch of 20: it keeps the layers that start_from has trained, and the others as they begin
CONFIG = parse_config(SHIPPED | {"training": {"max_epochs": 1}})
T_R, N_TRS = CONFIG.t_r, 365
OWN = {
    "auditory": "mel",
    "surprisal": "score_expectation",
    "tonal": "score_harmony",
    "form": "score_form",
}
QUICK = {"n_permutations": 5, "n_shifts": 200, "n_iter": CONFIG.quality.n_iter}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with what the rules make up to ``convolve_hrf``."""
    folder = tmp_path_factory.mktemp("music")
    music, score, bold = folder / "demo_music.wav", folder / "score.nc", folder / "bold.nc"
    render(music_path(), music)
    film.extract_mel(music, folder / "stream.nc", CONFIG)
    film.group_trs(folder / "stream.nc", folder / "trs" / "mel.nc")
    film.extract_video(music, folder / "trs" / "video.nc", CONFIG)
    read_score(music, music_path(), score, CONFIG)
    score_features(score, folder / "trs" / "score.nc", folder / "notes.tsv", CONFIG)
    scan_commands.simulate_bold(music, folder / "simulated", CONFIG, score=music_path())
    scan_commands.load_bold(folder / "simulated", bold, CONFIG)
    for name in ("mel", "video", "score"):
        file = f"{name}.nc"
        regressors = folder / "regressors" / file
        scan_commands.convolve_hrf(folder / "trs" / file, bold, regressors, CONFIG)
    return folder


@pytest.fixture(scope="module")
def scans(made):
    """The listeners' scans, and the regions."""
    arrays = load_arrays(made / "bold.nc")
    return arrays, find_regions(arrays, made / "simulated")


@pytest.fixture(scope="module")
def sound(made):
    """Regressors of the sound."""
    return load_arrays(made / "regressors" / "mel.nc")


@pytest.fixture(scope="module")
def features(made):
    """Of the score in TRs, with the bundled model."""
    return load_arrays(made / "trs" / "score.nc")


@pytest.fixture(scope="module")
def score(made):
    return load_arrays(made / "regressors" / "score.nc")


def unique(scans, **regressors):
    """Unique variance of each band in each region, in the voxels of highest ISC."""
    arrays, regions = scans
    quality = brain_quality(arrays, regressors, T_R, max_voxels=CONFIG.max_voxels, **QUICK)
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
    inside = np.any(list(regions.values()), axis=0)  # its ISC is chance
    noise = arrays.isel(voxel=inside).copy(deep=True)
    who = np.char.add(arrays["subject"].values.astype(str), arrays["run"].values.astype(str))
    for one in np.unique(who):
        here = np.flatnonzero(who == one)
        noise["bold"][here] = null_series(noise["bold"].values[here], CONFIG.seed, one)
    own_voxels = {name: own[inside] for name, own in regions.items()}
    of_noise = unique((noise, own_voxels), mel=sound, score=score)
    assert all(of_noise.loc[region, own] < 0.02 for region, own in OWN.items())
    assert of_noise.max().max() < 0.03


@pytest.fixture(scope="module")
def decoded(made):
    """The table of ``reconstruct_score``."""
    trs, regressors = made / "trs", made / "regressors"
    files = [regressors / f"{name}.nc" for name in ("mel", "video", "score")]
    aligned, learned = made / "aligned.nc", made / "model"
    bands = {"bold": made / "bold.nc", "regressors": files, "others": [trs / "score.nc"]}
    model.sync_align(trs / "mel.nc", trs / "video.nc", aligned, CONFIG, **bands)
    model.train(aligned, learned, made / "logs", CONFIG)
    table = made / "scores.tsv"
    music = made / "demo_music.wav"
    reconstruct_score(music, aligned, made / "score.nc", learned, made / "out", table, CONFIG)
    scores = load_table(table)
    print(scores.drop(columns=["path", "n_failed"]).round(3).to_string())
    return scores.set_index(["column", "metric"])


BY_SOUND = ["sound_identification_2way", "sound_identification_10way"]


@pytest.mark.parametrize("metric", BY_SOUND)
def test_what_is_decoded_as_notes_identifies_the_music_by_its_sound(decoded, metric):
    """By how many notes it has, above all: the pitches are at chance."""
    brain = decoded.loc[("score_brain", metric)]
    assert brain["p"] < 0.05
    assert brain["value"] > 1.3 * brain["chance"]
    nulls = decoded.loc[
        [(f"score_{name}", metric) for name in ("brain_shuffled", "prior", "other")]
    ]
    assert (nulls["p"] > 0.05).all()


def test_the_number_of_notes_is_decoded(decoded):
    brain = decoded.loc[("score_brain", "onset_density_r")]
    assert brain["p"] < 0.05
    assert brain["value"] > 0.15
