"""Where brains are read from: all of it, or one region.

Oracles: simulated BOLD that follows the film in one region, and `decode_subject` on its columns.
"""

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from giblet.alignment.dataset import FilmData, split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.voxels import reliable_voxels, voxels_to_read
from giblet.audio.files import read_sound
from giblet.audio.processor import AudioProcessor
from giblet.config.sections import DecodingConfig, SplitConfig
from giblet.demo import film_path
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import (
    decode_brains,
    decoded_stretch,
    film_stretch,
    identification_rows,
)
from giblet.evaluation.decoding import decode_subject, lags_in_trs

T_R, N_TRS, N_EACH = 1.5, 240, 20
RUNS = np.repeat("run-1", N_TRS)
REGIONS = {"auditory": np.arange(60) < N_EACH, "visual": np.arange(60) >= 2 * N_EACH}


@pytest.fixture
def film(rng):
    """Bottlenecks, and two people whose BOLD is noise but where they hear."""
    code = rng.standard_normal((N_TRS, 12)).astype(np.float32)
    answer = lfilter(tr_kernel(T_R, 0.75), 1, code @ rng.standard_normal((12, N_EACH)), axis=0)
    bold = rng.standard_normal((2, N_TRS, 60))
    bold[..., REGIONS["auditory"]] *= 0.2
    bold[..., REGIONS["auditory"]] += answer / answer.std()
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=True)
    bold = torch.from_numpy(zscore_bold(bold, RUNS, part == "train")[0])
    return code, FilmData({}, bold, part, RUNS, ("sub-01", "sub-02"))


def decoded(film, region):
    decoding = DecodingConfig(region=region, clip_seconds=3.0, n_permutations=99)
    found = decode_brains(*film, T_R, decoding, REGIONS)
    rows = identification_rows(found, *film, T_R, decoding, seed=0)
    return found, {(row["column"], row["metric"]): row["value"] for row in rows}


def test_the_region_that_hears_tells_the_moment_and_the_other_is_at_chance(film):
    _, hears = decoded(film, "auditory")
    _, sees = decoded(film, "visual")
    for metric, chance in [("identification_2way", 0.5), ("identification_10way", 0.1)]:
        assert hears["brain", metric] > chance + 0.25
        assert abs(hears["brain_shuffled", metric] - chance) < 0.12
        assert abs(sees["brain", metric] - chance) < 0.12
    assert (
        hears["brain", "identification_10way_p"] <= 0.01 < sees["brain", "identification_10way_p"]
    )


def test_a_region_is_read_as_if_it_were_the_whole_brain(film):
    code, data = film
    found, _ = decoded(film, "visual")
    train, test, lags = data.where("train"), data.where("test"), lags_in_trs(T_R, DecodingConfig())
    for subject, bold in enumerate(data.bold.numpy()[..., REGIONS["visual"]]):
        expected = decode_subject(bold, RUNS, code, train, test, lags)
        for column, values in expected.items():
            np.testing.assert_array_equal(found[column][subject], values)


def test_without_a_region_the_most_reliable_voxels_of_the_brain_are_read(film):
    bold = film[1].bold.numpy()
    read = voxels_to_read(bold, DecodingConfig(voxel_share=0.2), REGIONS)
    np.testing.assert_array_equal(read, reliable_voxels(bold, 0.2))
    assert REGIONS["auditory"][read].all()


def test_test_trs_have_no_say_in_which_voxels_are_read(film):
    """In the test part two people agree, by other voxels than in training."""
    code, data = film
    train, test, lags = data.where("train"), data.where("test"), lags_in_trs(T_R, DecodingConfig())
    bold = data.bold.clone()
    shared = torch.from_numpy(np.random.default_rng(1).standard_normal((len(test), N_EACH)))
    bold[:, test[:, None], np.flatnonzero(REGIONS["visual"])] = 99 * shared.to(bold.dtype)
    data = FilmData({}, bold, data.part, RUNS, data.subjects)
    decoding = DecodingConfig(voxel_share=1 / 3)
    decoded = decode_brains(code, data, T_R, decoding)
    for subject, one in enumerate(bold.numpy()[..., REGIONS["auditory"]]):
        columns = decode_subject(one, RUNS, code, train, test, lags)
        for column, expected in columns.items():
            np.testing.assert_allclose(decoded[column][subject], expected, atol=1e-4)
    leaked = reliable_voxels(bold.numpy(), decoding.voxel_share)
    assert not REGIONS["auditory"][leaked].any()  # the choice that this test would see


def test_an_unknown_region_is_named_with_what_there_is(film):
    bold = film[1].bold.numpy()
    said = "decoding.region: no region auditry; did you mean auditory?; known: auditory, visual"
    with pytest.raises(GibletError, match=said.replace("?", r"\?")):
        voxels_to_read(bold, DecodingConfig(region="auditry"), REGIONS)


@pytest.mark.parametrize(
    "framing", ["tr_synchronous", pytest.param("native", marks=pytest.mark.slow)]
)
def test_where_trs_are_missing_sounds_stay_beside_the_film(framing):
    processor = AudioProcessor(codec="bundled", t_r=T_R, framing=framing)
    sound = read_sound(film_path(), processor.sample_rate)[: 60 * processor.sample_rate]
    features, _ = processor.audio_to_features(film_path(), max_trs=40)
    trs = np.array([11, 12, 13, 25, 26, 27, 28])
    film = film_stretch(sound, trs, processor)
    heard = decoded_stretch(features[trs], trs, processor, processor.facts())
    n = round(T_R * processor.sample_rate)
    assert len(film) == len(heard) == len(trs) * n
    np.testing.assert_array_equal(film[3 * n : 4 * n], sound[25 * n : 26 * n])
    for i in range(len(trs)):
        here = slice(i * n, (i + 1) * n)
        assert np.corrcoef(film[here], heard[here])[0, 1] > 0.6
