"""Levels of codes, mel and models on the clocks of scans."""

import numpy as np
import pytest
import xarray as xr
from pcm_codec import PcmCodec

from giblet.alignment.regressors import film_regressors
from giblet.audio.framing import group_trs
from giblet.audio.processor import AudioProcessor
from giblet.errors import GibletError
from giblet.evaluation.level_features import bottleneck_level, film_levels, levels_on_trs
from giblet.film.modalities import SPACE_SETS

T_R, N_TRS = 1.5, 40


@pytest.fixture
def scans():
    """Two subjects, one scanned .4 s after the other."""
    clocks = [np.arange(N_TRS) * T_R + offset for offset in (0.5, 0.9)]
    film_time = np.concatenate(clocks)
    coords = {
        "subject": ("volume", np.repeat(["a", "b"], N_TRS)),
        "run": ("volume", np.repeat(["1", "1"], N_TRS)),
        "film_time": ("volume", film_time),
        "in_film": ("volume", film_time >= 0),
    }
    return xr.Dataset(coords=coords, attrs={"t_r": T_R, "source": "SIMULATED"})


def film_of(features):
    film = xr.Dataset({"audio": (("tr", "row", "frame"), features)})
    return film.assign_coords(tr=np.arange(len(features)))


def test_codes_are_blurred_book_by_book_at_each_subjects_volumes(rng, scans):
    processor = AudioProcessor(codec=PcmCodec(), t_r=T_R, framing="tr_synchronous")
    n_frames = processor.clock.frames_per_tr * N_TRS
    stream = rng.integers(256, size=(32, n_frames)).astype(np.int32)
    film = film_of(group_trs(stream, processor.clock, N_TRS))
    levels = list(film_levels(film, T_R, processor))
    assert [one.level for one in levels if one.space == "sound"] == ["latents"]
    trs = np.arange(N_TRS)
    groups, targets = levels_on_trs(levels, scans, trs, T_R, "spm")
    assert [group.subjects for group in groups] == [[0], [1]]
    whole = film_regressors(film, scans, T_R, "spm", processor)["regressors"].values
    for group, own in zip(groups, np.split(whole, 2), strict=True):
        for key in (("sound", "latents"), ("cumulated", "32")):
            np.testing.assert_allclose(group.bands[key], own, atol=1e-5)
        np.testing.assert_allclose(group.bands["codebook", "7"][:, 6], own[:, 6], atol=1e-5)
    assert not np.allclose(*(group.bands["codebook", "1"] for group in groups))
    latents = levels[0].values.reshape(N_TRS, -1, 64).mean(axis=1)
    np.testing.assert_allclose(targets["sound", "latents"], latents, atol=1e-5)


def test_layers_of_a_model_are_levels(rng, scans):
    layers = {name: rng.standard_normal((2 * N_TRS, 3)) for name in ("layer_2", "layer_4")}
    film = SPACE_SETS["sound_model"].arrays(layers, N_TRS)
    levels = list(film_levels(film, T_R))
    assert [(one.space, one.level) for one in levels] == [("sound_model", name) for name in layers]
    _groups, targets = levels_on_trs(levels, scans, np.arange(N_TRS), T_R, "spm")
    expected = layers["layer_4"].reshape(N_TRS, 2, 3).mean(axis=1)
    np.testing.assert_allclose(targets["sound_model", "layer_4"], expected, atol=1e-5)


def text_film(rng):
    film = xr.Dataset({"text": (("tr", "feature"), rng.standard_normal((N_TRS, 5)))})
    return film.assign(n_words=("tr", rng.integers(0, 6, N_TRS).astype(float)))


def test_video_words_and_score_are_levels(rng, scans):
    """Bands are those of `film_regressors`, targets are means by hand."""
    pictures = rng.standard_normal((N_TRS, 2, 6))
    video = xr.Dataset({"video": ("tr", np.zeros(N_TRS))})
    video = video.assign(features=(("tr", "moment", "column"), pictures))
    text, values = text_film(rng), rng.standard_normal((N_TRS, 3))
    score = xr.Dataset({"score": ("tr", np.zeros(N_TRS))})
    score = score.assign(score_values=(("tr", "score_value"), values))
    spaces = np.array(["harmony", "rhythm", "harmony"])
    score = score.assign_coords(score_space=("score_value", spaces))
    again = SPACE_SETS["word_model"].arrays({"form": rng.standard_normal((N_TRS, 1))}, N_TRS)
    again["n_words"] = text["n_words"] + 1  # the first counts
    films = (video, text, score, again)
    levels = [level for film in films for level in film_levels(film, T_R)]
    groups, targets = levels_on_trs(levels, scans, np.arange(N_TRS), T_R, "spm")
    wanted = {
        ("film", "video"): pictures.mean(axis=1),
        ("film", "text"): text["text"].values,
        ("film", "n_words"): text["n_words"].values[:, None],
        ("score", "harmony"): values[:, [0, 2]],
        ("score", "rhythm"): values[:, [1]],
        ("word_model", "form"): again["word_model"].values[:, 0],
    }
    assert list(targets) == list(wanted)
    for key, expected in wanted.items():
        np.testing.assert_allclose(targets[key], expected, atol=1e-6)
    blurred = [film_regressors(film, scans, T_R, "spm") for film in (video, text)]
    bands = {
        ("film", "video"): blurred[0]["regressors"],
        ("film", "text"): blurred[1]["regressors"],
    }
    bands["film", "n_words"] = blurred[1]["n_words"]
    for key, whole in bands.items():
        for group, own in zip(groups, np.split(whole.values, 2), strict=True):
            np.testing.assert_allclose(group.bands[key], own, atol=1e-6)


def test_without_a_model_there_is_no_bottleneck(caplog):
    assert not list(bottleneck_level(None, None, np.arange(3), T_R))
    assert "no trained model was given" in caplog.text


def test_other_trs_and_a_part_of_the_film_are_refused(rng, scans):
    layers = {"layer_1": rng.standard_normal((N_TRS, 3))}
    film = SPACE_SETS["sound_model"].arrays(layers, N_TRS).assign_coords(tr=np.arange(N_TRS))
    levels = list(film_levels(film, T_R))
    with pytest.raises(GibletError, match="run sync_align again"):
        levels_on_trs(levels, scans, np.array([0, 1, 3]), T_R, "spm")
    with pytest.raises(GibletError, match="every TR"):
        list(film_levels(film.isel(tr=slice(2, None)), T_R))
