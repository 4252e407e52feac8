"""Brains that know nothing of the film score at chance, through the whole pipeline.

Two kinds: BOLD of simulated brains with its phases drawn anew (``scan.null``), and simulated brains
whose noise drowns their answer. Three minutes of the bundled film, its sound in mel bands, and a
small model: chance asks for no more. With ``scan.null`` left out these tests fail.
"""

import json
import warnings

import av
import numpy as np
import pytest

from giblet.alignment.aligned import film_data
from giblet.audio.files import read_sound
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.commands.film import embed_text, extract_mel, extract_video, group_trs
from giblet.commands.model import reconstruct, sync_align, train
from giblet.commands.scans import convolve_hrf, load_bold, simulate_bold
from giblet.config.config import parse_config
from giblet.demo import annotations_path, film_path
from giblet.demo.bids_writer import simulate_bids
from giblet.demo.stimulus import sound_features
from giblet.evaluation.brain_scores import decode_brains, identification_rows
from giblet.evaluation.scores import score_table
from giblet.io.arrays import load_arrays
from giblet.io.tables import load_table, save_table

pytestmark = pytest.mark.slow
SECONDS, SOUND_RATE_HZ = 180, 16000
MODALITIES = ("audio", "video", "text")
ENCODING = ["encoding", "encoding_ridge", "encoding_banded", "noise_ceiling"]
DECODED = ["brain", "brain_shuffled", "nearest_clip"]
CONFIG = parse_config(
    {
        "use_encodec": False,
        "scan": {"null": True},
        "mel": {"n_mels": 32, "n_iter": 2},
        "video": {"height": 18, "width": 32},
        "decoding": {"clip_seconds": 3.0},  # twelve clips in the test part
        "model": {
            **{"layout": "flat", "start_from": "none", "audio_dim": 16, "video_dim": 8},
            **{"text_dim": 8, "bottleneck_dim": 32, "decoder_dim": 16, "readout_rank": 4},
        },
        "training": {"max_epochs": 2, "window_trs": 20, "bfloat16": False},
    }
)


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A folder with the beginning of the bundled film and its words, and both by TR."""
    folder = tmp_path_factory.mktemp("shown")
    with av.open(str(film_path())) as film, av.open(str(folder / "film.mp4"), "w") as short:
        streams = {s.index: short.add_stream_from_template(s) for s in film.streams}
        for packet in film.demux():
            if packet.pts is not None and packet.pts * packet.time_base < SECONDS:
                packet.stream = streams[packet.stream_index]
                short.mux(packet)
    said = load_table(annotations_path())
    save_table(said[said["onset"] + said["duration"] < SECONDS], folder / "said.tsv")
    extract_mel(folder / "film.mp4", folder / "mel.nc", CONFIG)
    group_trs(folder / "mel.nc", folder / "audio.nc")
    extract_video(folder / "film.mp4", folder / "video.nc", CONFIG)
    embed_text(folder / "said.tsv", folder / "text.nc", CONFIG, folder / "film.mp4")
    return folder


def align(shown, folder, config=CONFIG):
    """``bids`` in ``folder``, loaded and aligned."""
    load_bold(folder / "bids", folder / "bold.nc", config)
    regressors = [folder / f"regressors_{modality}.nc" for modality in MODALITIES]
    for modality, path in zip(MODALITIES, regressors, strict=True):
        convolve_hrf(shown / f"{modality}.nc", folder / "bold.nc", path, CONFIG)
    audio, video, text = (shown / f"{modality}.nc" for modality in MODALITIES)
    aligned = folder / "aligned.nc"
    sync_align(audio, video, aligned, CONFIG, text, folder / "bold.nc", regressors)
    return aligned


@pytest.fixture(scope="module")
def phase_randomised(shown, tmp_path_factory):
    """A folder with all that the pipeline makes of the null of four simulated brains."""
    folder = tmp_path_factory.mktemp("null")
    simulate_bold(shown / "film.mp4", folder / "bids", CONFIG, shown / "said.tsv")
    aligned = align(shown, folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and intervals
        train(aligned, folder / "model", folder / "logs", CONFIG)
    scores = folder / "scores" / "mel.tsv"
    model, sounds, compared = folder / "model", folder / "sounds", folder / "differences.tsv"
    reconstruct(shown / "film.mp4", aligned, model, sounds, scores, CONFIG, differences=compared)
    return folder


def score(scores, column, metric):
    (row,) = scores[(scores["column"] == column) & (scores["metric"] == metric)].to_dict("records")
    return row


def assert_nothing_is_identified(scores):
    for column in DECODED:
        two_way = score(scores, column, "identification_2way")
        slack = 0.05 if column == "brain_shuffled" else 0.0  # a mean over shifts hardly varies
        assert two_way["low"] - slack <= 0.5 <= two_way["high"] + slack
        assert score(scores, column, "identification_10way_p")["value"] > 0.01


def test_a_null_predicts_no_bold(phase_randomised):
    """All voxels, then those in which subjects agree most: at 0.06 with the BOLD as it was."""
    scores = load_table(phase_randomised / "scores" / "mel.tsv")
    for column in ENCODING:
        assert abs(score(scores, column, "bold_r")["value"]) < 0.02
        assert abs(score(scores, column, "bold_r_reliable")["value"]) < 0.03


def test_a_null_tells_no_moment(phase_randomised):
    assert_nothing_is_identified(load_table(phase_randomised / "scores" / "mel.tsv"))


def test_a_null_differs_from_shuffled_bold_on_no_row(phase_randomised):
    """Every metric of codes, sound and bottleneck, corrected for their number (Bonferroni)."""
    table = load_table(phase_randomised / "differences.tsv")
    table = table[(table["baseline"] == "brain_shuffled") & table["p"].notna()]
    assert len(table) >= 5
    assert (table["p"] > 0.05 / len(table)).all(), table


def test_a_null_is_said_to_be_one_wherever_it_goes(phase_randomised):
    said = json.loads(load_arrays(phase_randomised / "aligned.nc").attrs["warnings"])
    assert any(line.startswith("no data: BOLD was replaced by") for line in said)


def test_brains_whose_noise_drowns_their_answer_tell_no_moment(shown, phase_randomised, tmp_path):
    heard = sound_features(read_sound(shown / "film.mp4", SOUND_RATE_HZ), SOUND_RATE_HZ)
    simulate_bids(tmp_path / "bids", heard, heard, heard, CONFIG.t_r, noise=500.0)
    assert load_arrays(tmp_path / "bids" / "truth.nc")["noise_ceiling"].max() < 0.01
    aligned = load_arrays(align(shown, tmp_path, parse_config({})))
    data, model = film_data(aligned), Autoencoder.from_pretrained(phase_randomised / "model")
    code = bottlenecks(model, data)
    assert np.ptp(code, axis=0).any()
    decoded = decode_brains(code, data, CONFIG.t_r, CONFIG.decoding)
    rows = identification_rows(decoded, code, data, CONFIG.t_r, CONFIG.decoding, CONFIG.seed)
    assert_nothing_is_identified(score_table("mel", rows))
