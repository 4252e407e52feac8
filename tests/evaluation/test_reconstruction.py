"""The whole way: a film and simulated brains in, held-out sound and an honest table out."""

import warnings
from importlib.util import find_spec
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from factories import flat_model

from giblet.alignment.aligned import align, film_data, film_shapes
from giblet.audio.files import read_sound, write_sound
from giblet.audio.mel import MelSettings
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.autoencoder.training import fit
from giblet.config.sections import DecodingConfig, SplitConfig, TrainingConfig
from giblet.evaluation import reconstruction
from giblet.evaluation.brain_scores import decode_brains
from giblet.evaluation.reconstruction import reconstruct
from giblet.evaluation.scores import score_table

T_R, N_TRS, FIRST_SCANNED = 1.5, 24, 3
SPLITS = SplitConfig(gap_seconds=1.5)
SMALL = flat_model()
ONE_EPOCH = TrainingConfig(max_epochs=1, frames_per_step=4, window_trs=6, bfloat16=False)
SOUND_METRICS = {"pesq_wb", "stoi", "si_sdr_db", "log_mel_db", "sync_error_ms"}
QUICK_MEL = MelSettings(n_mels=60, n_iter=8)
REGIONS = {"auditory": np.arange(6) < 2}
NATIVE_REGION = {"framing": "native", "region": "auditory"}  # one run for two questions
BRAINS = ["brain", "brain_shuffled", "brain_mean", "nearest_clip"]
GROUP = ["brain_group", "brain_group_shuffled"]  # the null has scores, and no sound
VOICE = ["f0_error_cents", "hnr_error_db", "centroid_error_octaves"]
VISQOL = ["visqol"] * bool(find_spec("visqol"))
SEGMENTS = ["pesq_wb", "stoi", "estoi", "si_sdr_db", "log_mel_db", *VISQOL, *VOICE]
OF_PATH = {True: ["code_accuracy", *SEGMENTS], False: SEGMENTS}
COMPARED = {  # metrics of differences to each baseline; the mean volume identifies nothing
    use_encodec: [
        *["identification_2way", *own],
        *own,
        *["identification_2way", *own],
        *["identification_2way", *own],  # of all subjects together
    ]
    for use_encodec, own in OF_PATH.items()
}


@pytest.fixture(scope="module")
def film_file(tmp_path_factory):
    """A film's sound of 36 s, voice-like: a gliding pitch with harmonics, in syllables."""
    time = np.arange(int(N_TRS * T_R * 24000)) / 24000
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.31 * time)) / 24000
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    loudness = np.clip(np.sin(2 * np.pi * 2.3 * time) + np.sin(2 * np.pi * 0.17 * time), 0, None)
    path = tmp_path_factory.mktemp("film") / "voice.wav"
    write_sound(path, (0.08 * voice * loudness).astype(np.float32), 24000)
    return path


def make_scans(rng):
    """Two simulated subjects who saw the film from TR 3 on, with one regressor."""
    tr = np.tile(np.arange(FIRST_SCANNED, N_TRS), 2)
    bold = rng.standard_normal((len(tr), 6)).astype(np.float32)
    scans = xr.Dataset(
        {"bold": (("volume", "voxel"), bold)},
        coords={
            "subject": ("volume", np.repeat(["sub-01", "sub-02"], len(tr) // 2)),
            "run": ("volume", np.repeat("run-1", len(tr))),
            "film_time": ("volume", tr * T_R + 0.75),
            "in_film": ("volume", tr >= 0),
            **{axis: ("voxel", np.arange(6.0)) for axis in "xyz"},
        },
        attrs={"t_r": T_R, "warnings": [], "source": "SIMULATED"},
    )
    values = rng.standard_normal((len(tr), 3)).astype(np.float32)
    return scans, [xr.Dataset({"regressors": (("volume", "feature"), values)})]


@pytest.fixture(scope="module")
def run_pipeline(film_file, tmp_path_factory):
    """From the film's file to sounds and table, each kind of run once."""
    done = {}

    def run(use_encodec, has_bold, framing="tr_synchronous", region=None, n_jobs=1):
        key = (use_encodec, has_bold, framing, region, n_jobs)
        if key not in done:
            done[key] = _run(film_file, tmp_path_factory.mktemp("logs"), *key)
        return done[key]

    return run


def _run(film_file, folder, use_encodec, has_bold, framing, region, n_jobs):
    rng = np.random.default_rng(0)
    processor = AudioProcessor(use_encodec, t_r=T_R, framing=framing, mel=QUICK_MEL)
    features, _ = processor.audio_to_features(film_file)
    sound = xr.Dataset({"audio": (("tr", "row", "frame"), features)}, attrs=processor.facts())
    pictures = rng.integers(0, 256, (N_TRS, 1, 16, 16, 3), dtype=np.uint8)
    video = xr.Dataset({"video": (("tr", "picture", "height", "width", "rgb"), pictures)})
    scans, regressors = make_scans(rng) if has_bold else (None, [])
    aligned = align([sound, video], scans, regressors, T_R, SPLITS)
    data = film_data(aligned)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and intervals
        trained = fit(data, film_shapes(aligned, "spm"), SMALL, ONE_EPOCH, 0, str(folder))
    film_sound = read_sound(film_file, processor.sample_rate)
    model, options = trained.autoencoder, (DecodingConfig(region=region), 0, REGIONS)
    arrays = aligned, data, model, processor, film_sound
    found = reconstruct(*arrays, *options, n_jobs=n_jobs)
    sounds, rows, compared, by_subject, _nulls, _segments = found
    assert bool(by_subject) == has_bold
    assert [row["metric"] for row in compared] == ([] if scans is None else COMPARED[use_encodec])
    table = score_table(processor.encoding_mode, rows)
    return aligned, processor, film_sound, sounds, table


PATHS = pytest.mark.parametrize("use_encodec", [True, False], ids=["encodec", "mel"])


def test_every_column_is_the_sound_of_what_was_decoded_for_it(film_file, monkeypatch):
    """Of the first subject: the brain's, and each null's own, not the brain's again.

    Features stand for the sound that is made of them, and nothing is scored: both take long.
    """
    monkeypatch.setattr(reconstruction, "decoded_stretch", lambda features, *_: features)
    for name in ("identify_sounds", "_encoding_rows"):
        monkeypatch.setattr(reconstruction, name, lambda *_: [])
    monkeypatch.setattr(reconstruction, "scores_and_nulls", lambda *_: ({}, {}))
    rng = np.random.default_rng(0)
    processor = AudioProcessor(use_encodec=False, t_r=T_R, mel=QUICK_MEL)
    features, _ = processor.audio_to_features(film_file)
    sound = xr.Dataset({"audio": (("tr", "row", "frame"), features)}, attrs=processor.facts())
    aligned = align([sound], *make_scans(rng), T_R, SPLITS)
    data = film_data(aligned)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Autoencoder(film_shapes(aligned, "spm"), SMALL).eval()
    options = (read_sound(film_file, processor.sample_rate), DecodingConfig(), 0)
    sounds, *_ = reconstruct(aligned, data, model, processor, *options)
    decoded = decode_brains(bottlenecks(model, data), data, T_R, DecodingConfig())
    assert list(decoded) == BRAINS
    for column, (first, *_others) in decoded.items():
        if column == "nearest_clip":
            expected = aligned["audio"].values[first]
        else:
            with torch.inference_mode():
                expected = model.decode_audio(torch.from_numpy(first).float()).numpy()
        np.testing.assert_array_equal(sounds[column], expected)
    for one, other in combinations(BRAINS, 2):
        assert not np.array_equal(sounds[one], sounds[other])


@pytest.mark.slow
@PATHS
def test_two_jobs_give_the_sounds_and_scores_of_one(run_pipeline, use_encodec):
    _, _, _, sounds, table = run_pipeline(use_encodec, has_bold=True)
    _, _, _, same, also = run_pipeline(use_encodec, has_bold=True, n_jobs=2)
    assert list(sounds) == list(same)
    for column, waveform in sounds.items():
        np.testing.assert_array_equal(waveform, same[column])
    pd.testing.assert_frame_equal(table, also)


@PATHS
def test_a_film_alone_gives_three_sounds_and_no_brain(run_pipeline, use_encodec):
    aligned, processor, _, sounds, table = run_pipeline(use_encodec, has_bold=False)
    assert list(sounds) == ["original", "codec", "stimulus"]
    n_samples = round((aligned["part"] == "test").sum().item() * T_R * processor.sample_rate)
    for waveform in sounds.values():
        assert (waveform.shape, waveform.dtype) == ((n_samples,), np.float32)
        assert np.isfinite(waveform).all()
    assert not table["column"].str.contains("brain|nearest|encoding").any()


@PATHS
def test_brains_come_with_their_nulls(run_pipeline, use_encodec):
    _, _, _, sounds, table = run_pipeline(use_encodec, has_bold=True)
    assert list(sounds) == ["original", "codec", "stimulus", *BRAINS, GROUP[0]]
    assert len({len(waveform) for waveform in sounds.values()}) == 1
    identified = table[table["metric"] == "identification_2way"]
    assert identified["column"].tolist() == ["brain", "brain_shuffled", "nearest_clip", *GROUP]
    linear = table[table["metric"] == "bold_r"]
    columns = ["encoding", "encoding_ridge", "encoding_banded", "noise_ceiling"]
    assert linear["column"].tolist() == columns
    assert linear["n"].tolist() == [2, 2, 2, 2]  # one value a subject


@PATHS
@pytest.mark.parametrize("has_bold", [True, False], ids=["bold", "no bold"])
def test_every_column_has_every_metric(run_pipeline, use_encodec, has_bold):
    *_, sounds, table = run_pipeline(use_encodec, has_bold)
    header = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    assert table.columns.tolist() == header
    assert set(table["path"]) == {"encodec" if use_encodec else "mel"}
    assert not table.duplicated(["path", "column", "metric"]).any()
    for column in list(sounds)[1:]:
        assert set(table.loc[table["column"] == column, "metric"]) >= SOUND_METRICS
    codec = set(table.loc[table["column"] == "codec", "metric"])
    assert {"values_per_s", "kbit_per_s"} <= codec
    codes = table["metric"].isin(["code_accuracy", "cross_entropy_nats"])
    brains = len(BRAINS + GROUP) if has_bold else 0  # accuracy alone
    assert codes.sum() == (4 + brains if use_encodec else 0)  # of the model, and of frequencies
    scored = table[table["n"] > 0]
    assert np.isfinite(scored["value"]).all()
    assert table.loc[table["n"] == 0, "value"].isna().all()  # never a made-up score


def test_scores_of_brains_count_moments_and_not_people(run_pipeline):
    *_, table = run_pipeline(True, has_bold=True)
    for metric in ("stoi", "log_mel_db", "code_accuracy"):
        rows = table[table["metric"] == metric].set_index("column")
        asked = rows["n"] + rows["n_failed"]
        of_film = "codec" if metric != "code_accuracy" else "stimulus"
        assert (asked[BRAINS + GROUP] == asked[of_film]).all()


@PATHS
def test_the_original_is_the_films_sound_of_the_test_trs(run_pipeline, use_encodec):
    aligned, processor, film_sound, sounds, _ = run_pipeline(use_encodec, has_bold=True)
    trs = aligned["tr"].values[aligned["part"].values == "test"]
    assert trs[-1] == N_TRS - 1  # numbered in the film, though the scan began later
    start = round(trs[0] * T_R * processor.sample_rate)
    np.testing.assert_array_equal(sounds["original"], film_sound[start:])


@PATHS
def test_the_codec_column_is_the_codec_alone(run_pipeline, use_encodec):
    aligned, processor, _, sounds, table = run_pipeline(use_encodec, has_bold=True)
    test = aligned["audio"].values[aligned["part"].values == "test"]
    np.testing.assert_array_equal(sounds["codec"], processor.features_to_audio(test))
    distance = table[table["metric"] == "log_mel_db"].set_index("column")["value"]
    assert distance["codec"] == distance.min()  # the ceiling
    late = table[table["metric"] == "sync_error_ms"].set_index("column")["value"]
    assert late["codec"] < 20  # at its place on the film's clock


@pytest.mark.slow
def test_the_codecs_own_clock_works_too(run_pipeline):
    """Native framing: TRs of 112 and 113 frames, wherever the test part begins."""
    _, _, _, sounds, table = run_pipeline(True, has_bold=True, **NATIVE_REGION)
    assert list(sounds) == ["original", "codec", "stimulus", *BRAINS, GROUP[0]]
    late = table[table["metric"] == "sync_error_ms"].set_index("column")["value"]
    assert late["codec"] < 20


def test_the_table_says_which_region_was_read(run_pipeline):
    *_, table = run_pipeline(True, has_bold=True, **NATIVE_REGION)
    read = table[table["metric"] == "voxels_in_auditory"]
    assert (read["column"].tolist(), read["value"].tolist()) == (["brain"], [2.0])
    *_, whole = run_pipeline(True, has_bold=True)
    assert not whole["metric"].str.contains("voxels_in").any()
