"""Silence where a brain hears, and the sound goes; silence where it sees, and it stays.

Oracles: simulated BOLD that follows the film in one region, and identities.
"""

import nibabel
import numpy as np
import pytest
import torch
import xarray as xr
from factories import flat_model
from scipy import stats
from scipy.signal import lfilter

from giblet.alignment.aligned import align, film_data, film_shapes
from giblet.alignment.dataset import FilmData, split_film, zscore_bold
from giblet.alignment.hrf import tr_kernel
from giblet.audio.files import read_sound, write_sound
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.commands.scans import lesion
from giblet.config.config import parse_config
from giblet.config.regions import LesionConfig
from giblet.config.sections import DecodingConfig, ScanConfig, SplitConfig
from giblet.demo import film_path
from giblet.errors import GibletError
from giblet.evaluation.decoding import decode_silenced, decode_subject, lags_in_trs
from giblet.evaluation.group_decoding import decode_from_others, decode_group
from giblet.evaluation.held_out import HeldOut, correlation_by_tr
from giblet.evaluation.lesions import decode_lesions, paired_change, plan_lesions
from giblet.evaluation.scores import share_right
from giblet.io.arrays import save_arrays
from giblet.io.checksums import fingerprint
from giblet.io.paths import file_name
from giblet.io.tables import load_table
from giblet.stats.pearson import correlation

T_R, N_TRS, N_EACH = 1.5, 300, 40
RUNS = np.repeat(["run-1", "run-2"], [140, 160])
ALL_READ = DecodingConfig(voxel_share=1.0)
LAGS = lags_in_trs(T_R, ALL_READ)
HEARS, SEES = np.arange(3 * N_EACH) < N_EACH, np.arange(3 * N_EACH) >= 2 * N_EACH
REGIONS = {"hears": HEARS, "sees": SEES}  # and as many voxels in no region


@pytest.fixture
def film(rng):
    """Bottlenecks, and what two people's BOLD makes of them: noise but where they hear."""
    code = rng.standard_normal((N_TRS, 24)).astype(np.float32)
    answer = lfilter(tr_kernel(T_R, 0.75), 1, code @ rng.standard_normal((24, N_EACH)), axis=0)
    bold = rng.standard_normal((2, N_TRS, 3 * N_EACH))
    bold[..., HEARS] = 0.3 * bold[..., HEARS] + answer / answer.std()
    part = split_film(N_TRS, T_R, SplitConfig(), has_bold=True)
    bold = torch.from_numpy(zscore_bold(bold, RUNS, part == "train")[0])
    return code, FilmData({}, bold, part, RUNS, ("sub-01", "sub-02"))


def scores_of(film, regions, decoder="subjects"):
    """(region, mode) → scores by metric, (n_subjects, n_moments), of the last draw."""
    code, data = film
    config = LesionConfig(decoder=decoder)
    plan, decoded = decode_lesions(code, data, regions, T_R, ALL_READ, config, seed=0)
    held_out = HeldOut(code, data, np.zeros(0), 24000, clip_trs=5)
    found = {}
    for one, guesses in zip(plan, decoded, strict=True):
        each = [held_out.bottleneck_scores(guess) for guess in guesses]
        found[one.region, one.mode] = {m: np.stack([s[m] for s in each]) for m in each[0]}
    return found


def test_the_region_that_hears_is_the_one_that_counts(film):
    found = scores_of(film, REGIONS)
    for metric, chance in [("identification_2way", 0.5), ("identification_10way", 0.1)]:
        intact = found["", "intact"][metric]
        change = {key: paired_change(s[metric], intact, 5, seed=0) for key, s in found.items()}
        assert intact.mean() > 0.8
        assert change["hears", "silenced"]["high"] < -0.25
        assert abs(change["hears", "silenced"]["value"] - chance) < 0.15
        assert abs(change["sees", "alone"]["value"] - chance) < 0.15
        for untouched in [("sees", "silenced"), ("hears", "alone"), ("hears", "random")]:
            assert abs(change[untouched]["change"]) < 0.05, untouched


@pytest.mark.parametrize("decoder", ["group", "others"])
def test_lesions_of_people_decoded_together_and_by_others(film, decoder):
    """Oracles: the decoders that are there without lesions, and the planted region."""
    code, data = film
    found, bold = scores_of(film, REGIONS, decoder), data.bold.numpy()
    parts = (RUNS, code, data.where("train"), data.where("test"), LAGS, ScanConfig())
    if decoder == "group":
        intact = [decode_group(bold, *parts)["brain"]]
    else:
        intact = [decode_from_others(bold[1 - n : 2 - n], bold[n], *parts) for n in (0, 1)]
    held_out = HeldOut(code, data, np.zeros(0), 24000, clip_trs=5)
    expected = np.stack([held_out.bottleneck_scores(one)["identification_2way"] for one in intact])
    metric = "identification_2way"
    np.testing.assert_allclose(found["", "intact"][metric], expected, atol=1e-6)
    assert abs(found["hears", "silenced"][metric].mean() - 0.5) < 0.15
    assert abs(found["sees", "alone"][metric].mean() - 0.5) < 0.15
    assert found["hears", "alone"][metric].mean() > expected.mean() - 0.05


@pytest.mark.parametrize("decoder", ["group", "others"])
def test_one_person_has_no_group_and_no_others(film, decoder):
    code, data = film
    alone = FilmData({}, data.bold[:1], data.part, RUNS, ("sub-01",))
    config = LesionConfig(decoder=decoder)
    with pytest.raises(GibletError, match=f"lesion.decoder: {decoder} needs two subjects"):
        decode_lesions(code, alone, REGIONS, T_R, ALL_READ, config, seed=0)


def test_a_silent_brain_says_the_mean_and_a_whole_one_what_it_said(film):
    code, data = film
    train, test, bold = data.where("train"), data.where("test"), data.bold.numpy()[0]
    everything = np.ones(bold.shape[1], dtype=bool)
    found = decode_subject(bold, RUNS, code, train, test, LAGS)
    silenced = [everything, ~everything]
    silent, whole = decode_silenced(bold, RUNS, code, train, test, LAGS, silenced)
    np.testing.assert_array_equal(silent, found["brain_mean"])
    np.testing.assert_array_equal(whole, found["brain"])


def test_to_silence_is_to_have_scanned_the_mean(film):
    """The same as BOLD whose test volumes are 0 there; training volumes are left as they were."""
    code, data = film
    train, test, bold = data.where("train"), data.where("test"), data.bold.numpy()[0]
    (lesioned,) = decode_silenced(bold, RUNS, code, train, test, LAGS, [HEARS])
    later = np.arange(N_TRS) > train[-1] + LAGS[-1]
    scanned = np.where(later[:, None] & HEARS, 0, bold)
    expected = decode_subject(scanned, RUNS, code, train, test, LAGS)["brain"]
    np.testing.assert_allclose(lesioned, expected, atol=1e-5)


def test_all_silent_is_chance_and_correlates_with_nothing(film):
    found = scores_of(film, {"everything": np.ones_like(HEARS)})
    assert ("everything", "random") not in found  # there is nothing else
    silent = found["everything", "silenced"]
    assert silent["identification_2way"].mean() == pytest.approx(0.5)
    assert silent["identification_10way"].mean() == pytest.approx(0.1)
    assert np.isnan(silent["bottleneck_r"]).all()
    whole, intact = found["everything", "alone"], found["", "intact"]
    for metric, scores in intact.items():
        change = paired_change(whole[metric], scores, 5, seed=0)
        assert [change[k] for k in ("change", "low", "high")] == [0, 0, 0]


def test_random_lesions_are_as_large_and_elsewhere():
    none = ~(HEARS | SEES)
    plan = plan_lesions(REGIONS, n_draws=4, seed=0)
    assert [one.mode for one in plan].count("random") == 8
    for one in plan:
        if one.mode == "random":
            assert one.silent.sum() == one.n_voxels == N_EACH
            assert not (one.silent & ~none).any()
    larger = {"hears": np.arange(120) < 70, "sees": SEES}  # 10 in none, 50 that do not hear
    drawn = [one for one in plan_lesions(larger, 1, seed=0) if one.mode == "random"]
    assert [one.n_voxels for one in drawn] == [50, N_EACH]
    assert not (drawn[0].silent & larger["hears"]).any()
    assert not (drawn[1].silent & SEES).any()
    drawn = [one.silent for one in plan_lesions({"half": HEARS}, 2, seed=1) if one.mode == "random"]
    assert (drawn[0] != drawn[1]).any()


def test_correlation_by_tr_is_correlation(rng):
    guess, truth = rng.standard_normal((2, 50, 6)) + 3
    guess[:, 2] = 1.0  # never changes
    expected = np.nanmean(correlation(guess, truth))
    assert correlation_by_tr(guess, truth).mean() == pytest.approx(expected, abs=1e-9)


def test_draws_of_trs_vary_as_their_correlation_does(rng):
    """scipy's bootstrap of r itself; products of z-scores give an interval three times as wide."""
    truth = rng.standard_normal(200)
    guess = truth + 0.5 * rng.standard_normal(200)
    scores = correlation_by_tr(guess[:, None], truth[:, None])
    options = {"n_resamples": 2000, "method": "percentile", "rng": 0}
    own = stats.bootstrap((scores,), np.mean, **options).confidence_interval
    expected = stats.bootstrap(
        (guess, truth), lambda x, y: stats.pearsonr(x, y)[0], paired=True, **options
    ).confidence_interval
    assert tuple(own) == pytest.approx(tuple(expected), abs=0.01)
    assert own.high < 1


def test_the_interval_of_a_change_is_of_moments_not_of_people(rng):
    """A change in every other stretch of five: scipy's bootstrap over stretches."""
    from scipy.stats import bootstrap

    intact = rng.standard_normal((3, 100))
    effect = np.repeat(np.tile([0.0, -1.0], 10), 5)
    found = paired_change(intact + effect, intact, 5, seed=0)
    assert found["change"] == pytest.approx(-0.5)
    interval = bootstrap((effect[::5],), np.mean, method="percentile").confidence_interval
    assert [found["low"], found["high"]] == pytest.approx(list(interval), abs=0.06)


def test_regions_that_are_not_read_are_left_out_or_refused(film, caplog):
    nowhere = {"nowhere": np.zeros_like(HEARS)}
    assert not any(region == "nowhere" for region, _ in scores_of(film, REGIONS | nowhere))
    assert "nowhere: none of the 120 voxels" in caplog.text
    with pytest.raises(
        GibletError, match=r"none of the .* voxels that are decoded from is in nowhere"
    ):
        scores_of(film, nowhere)


# ---- files in, files out -------------------------------------------------------------------------

SHORT = 24  # TRs of the bundled film
SMALL = flat_model()
CONFIG = parse_config(
    {"lesion": {"n_draws": 1}, "decoding": {"clip_seconds": 1.5, "voxel_share": 1.0}}
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A short film, one brain of six voxels aligned with it, and a model that knows nothing yet."""
    folder, rng = tmp_path_factory.mktemp("lesion"), np.random.default_rng(0)
    processor = AudioProcessor.from_config(CONFIG, "encodec")
    sound = read_sound(film_path(), processor.sample_rate)[: round(SHORT * T_R * 24000)]
    write_sound(folder / "film.wav", sound, processor.sample_rate)
    features, _ = processor.audio_to_features(folder / "film.wav")
    facts = processor.facts() | {"input": fingerprint(folder / "film.wav")}
    film = xr.Dataset({"audio": (("tr", "row", "frame"), features)}, attrs=facts)
    clock = {"subject": "sub-01", "run": "run-1", "in_film": True}
    scans = xr.Dataset(
        {"bold": (("volume", "voxel"), rng.standard_normal((SHORT, 6)).astype(np.float32))},
        coords={name: ("volume", np.repeat(value, SHORT)) for name, value in clock.items()}
        | {"film_time": ("volume", np.arange(SHORT) * T_R + 0.75)}
        | {axis: ("voxel", np.arange(6.0) * (axis == "x")) for axis in "xyz"},
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )
    blurred = xr.Dataset({"regressors": (("volume", "feature"), rng.standard_normal((SHORT, 2)))})
    aligned = align([film], scans, [blurred], T_R, SplitConfig(gap_seconds=1.5))
    save_arrays(aligned, folder / "aligned.nc")
    torch.manual_seed(0)
    shapes = film_shapes(aligned, "spm", processor.codec.codebook_dim)
    Autoencoder(shapes, SMALL).save_pretrained(folder / "model")
    labels = np.array([1, 1, 1, 1, 1, 1], dtype=np.int16)[:, None, None]
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), folder / "all.nii.gz")
    labels[3:] = 2
    nibabel.save(nibabel.Nifti1Image(labels, np.eye(4)), folder / "halves.nii.gz")
    (folder / "halves.tsv").write_text("index\tname\n1\tthis/half\n2\tthat half\n")
    return folder


def run(files, regions, **options):
    names = {name: files / name for name in ("model", "audio")}
    paths = {"film": files / "film.wav", "aligned": files / "aligned.nc", **names}
    scores = files / "scores.tsv"
    lesion(**paths, scores=scores, config=CONFIG, regions=files / regions, **options)
    return load_table(scores)


@pytest.mark.slow
def test_the_verb_writes_a_table_of_every_score_and_the_sounds(files):
    table = run(files, "halves.nii.gz")
    assert list(table) == [
        "decoder",
        *("region", "mode", "metric", "value", "intact", "change", "low", "high"),
        *("lowest", "highest", "n_voxels"),
    ]
    by_region = ["identification_2way", "bottleneck_r", "identification_sound_2way"]
    for _, rows in table.groupby(["region", "mode"]):
        assert set(rows["metric"]) == {*by_region, "code_accuracy", "stoi", "log_mel_db"}
    assert set(table["n_voxels"]) == {3}
    same = table.set_index(["region", "mode", "metric"]).sort_index()
    this, that = same.loc["this/half", "silenced"], same.loc["that half", "alone"]
    np.testing.assert_array_equal(this["value"], that["value"])  # two halves, one lesion
    kinds = ["silenced", "alone", "random"]
    names = {f"{half}_{kind}" for half in ("this/half", "that half") for kind in kinds}
    sounds = {file_name(name) for name in (*names, "intact", "original")}
    assert {file.stem for file in (files / "audio").glob("*.wav")} == sounds


def test_a_silenced_brain_has_the_codes_of_the_mean_volume(files):
    from giblet.io.arrays import load_arrays

    table = run(files, "all.nii.gz").set_index(["mode", "metric"])
    assert not table.loc["alone", "change"].any()
    model = Autoencoder.from_pretrained(files / "model")
    data = film_data(load_arrays(files / "aligned.nc"))
    code, train, test = bottlenecks(model, data), data.where("train"), data.where("test")
    lags = lags_in_trs(T_R, CONFIG.decoding)
    found = decode_subject(data.bold[0].numpy(), data.run, code, train, test, lags)
    with torch.inference_mode():
        for mode, column in [("silenced", "brain_mean"), ("alone", "brain")]:
            guess = model.decode_audio(torch.from_numpy(found[column]))
            right = share_right(guess, data.film["audio"][test]).mean()
            assert table.loc[(mode, "code_accuracy"), "value"] == pytest.approx(right, rel=1e-4)
