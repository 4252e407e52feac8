"""The methods text tells what was set and done, no more, and cites whom it names."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from giblet.alignment.shapes import Shapes
from giblet.audio.metrics.table import METRICS
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.config import parse_config
from giblet.config.sections import ModelConfig
from giblet.report.cited_works import REFERENCES, references
from giblet.report.extras import Extras
from giblet.report.material import Material
from giblet.report.methods import methods_text
from giblet.report.methods_details import parts_done
from giblet.report.read_voxels import ReadVoxels

FACTS = {
    "film": "film.mp4",
    "codec": "facebook/encodec_24khz",
    "codec_revision": "c1dbe2ae",
    "bandwidth_kbps": 6.0,
    "t_r": 2.0,
    "parts": {"train": 200, "test": 50},
    "modalities": ["sound", "words"],
    "has_bold": True,
    "simulated": False,
    "subjects": ["01", "02"],
    "n_trs": 300,
}
SET = {"splits": {"gap_seconds": 40}, "decoding": {"voxel_share": 0.1, "clip_seconds": 12}}


def text(models=None, **facts):
    return methods_text(FACTS | {"settings": parse_config(SET)} | facts, models or {})


def test_what_was_set_is_reported():
    said = text()
    for each in (
        "at 6 kbit/s",
        "TRs of 2 s",
        "200 train (400 s), 50 test (100 s); 40 s",
        "the 10 % of",
    ):
        assert each in said
    assert "BOLD of 2 subjects was measured." in said
    assert "10 clips of 12 s" in said
    assert "10 clips of 9 s" in text(settings=parse_config({}))  # 8 s in TRs of 1.5 s
    region = parse_config({"decoding": {"region": "auditory"}, "hrf_model": "none"})
    assert "the voxels of the region auditory" in text(settings=region)
    assert "HRF" not in text(settings=region)


def test_scores_are_those_that_have_a_value():
    named = methods_text(FACTS, {}, {"stoi", "visqol"})
    assert "STOI (Taal et al., 2011) and ViSQOL, audio mode (Chinen et al., 2020)" in named
    assert "PESQ" not in named
    assert any("QoMEX" in one for one in references(named))
    assert "ViSQOL" not in methods_text(FACTS, {}, {"stoi", "pesq_wb"})


def test_the_processing_of_scans_is_that_of_the_settings():
    said = text()
    for each in ("a linear trend, cosines below 0.01 Hz and six motion", "5,000 voxels were kept"):
        assert each in said
    assert "z-scored by run, with mean and standard deviation of training TRs" in said
    assert "a run with fewer than 10 of them" in said
    assert "shifted by" not in said
    scan = {"high_pass_hz": None, "confounds": ["csf"], "lag_seconds": 1.5}
    other = text(settings=parse_config({"scan": scan, "max_voxels": None}))
    assert "a linear trend and the confounds csf were regressed out" in other
    assert "shifted by 1.5 s" in other
    assert "were kept" not in other
    strategy = parse_config({"scan": {"confound_strategy": ["motion", "wm_csf"]}})
    assert "nilearn's strategy motion and wm_csf" in text(settings=strategy)
    assert "regressed out" not in text(has_bold=False)


def test_voxels_are_counted_and_only_dropped_ones_are_reported():
    read = ReadVoxels(np.arange(250), "voxels", 60_000, 5000, "those of highest ISC")
    said = text(voxels_read=read)
    assert "The scans had 60,000 voxels, of which the 5,000 with the highest" in said
    assert "the BOLD of the 250 voxels (10 %) with the highest inter-subject" in said
    whole = text(voxels_read=replace(read, n_scanned=5000))
    assert "The scans had 5,000 voxels." in whole
    assert "were kept" not in whole
    every = replace(read, columns=np.arange(400), noun="parcels", n_scanned=400, n_kept=400)
    parcels = text(voxels_read=replace(every, rule=""))
    assert "the BOLD of all 400 parcels, at lags" in parcels
    region = parse_config({"decoding": {"region": "auditory"}})
    assert "the 250 voxels of the region auditory" in text(settings=region, voxels_read=read)
    assert "the BOLD of all voxels, at lags" in text(subjects=["01"])


def test_atlas_and_preprocessing_are_named_where_they_are_known():
    atlas = parse_config({"scan": {"parcellation": "schaefer_2018_400"}})
    assert "parcels of the atlas schaefer_2018_400." in text(settings=atlas)
    assert "averaged within" not in text()
    said = text(preprocessing="fMRIPrep 23.2.1, other")
    assert "preprocessed with fMRIPrep 23.2.1, other (Esteban et al., 2019)." in said
    assert "preprocessed with ours 1." in text(preprocessing="ours 1")
    assert "preprocessed" not in text()
    assert "preprocessed" not in text(preprocessing="giblet SIMULATED", simulated=True)


def test_where_training_began_is_reported_once():
    models = {"encodec": {"started_from": "bundled"}, "mel": {"started_from": "bundled"}}
    assert text(models).count("which was trained on other sounds") == 1
    both = text({"encodec": {"started_from": "none"}, "mel": {"started_from": "bundled"}})
    assert "started from random weights and the sound part of the bundled model" in both
    assert "started from" not in text()


def test_no_scan_and_simulated_scans_are_no_measured_ones():
    assert "SIMULATED from the stimulus, not measured" in text(simulated=True)  # no pictures
    none = text(has_bold=False)
    assert "No scans were used." in none
    assert "BOLD" not in none


def test_noise_is_not_called_measured():
    noise = text(settings=parse_config({"scan": {"null": True}}))
    assert "was replaced by noise of its spectrum, a control" in noise
    assert "measured" not in noise.split("Identification")[0]


def test_confounds_are_those_of_the_source(tmp_path):
    (tmp_path / "runs.tsv").touch()
    table = text(settings=parse_config({"bold": str(tmp_path / "runs.tsv")}))
    assert "and the table's confounds were regressed out" in table
    assert "motion" not in table


def test_subjects_together_and_predicted_bold_are_described_where_they_are_scored():
    aligned = text(settings=parse_config({"scan": {"alignment": "srm"}}))
    assert (
        "together, from the mean of their BOLD; they were aligned by a shared response" in aligned
    )
    assert "they were not aligned." in text()
    assert "together" not in text(subjects=["01"])
    scored = methods_text(
        FACTS | {"settings": parse_config(SET)}, {}, {"identification_bold_10way", "stoi"}
    )
    assert "that the model, ridge and banded ridge predict." in scored
    assert "ridge and banded ridge predict" not in text()


def test_frames_of_codes_are_those_of_the_model():
    shapes = {"frames_per_tr": 150, "n_rows": 8, "codebook_size": 1024}
    said = text({"encodec": {"shapes": shapes}})
    assert "iterations. A TR of 2 s has 150 frames of 8 codes (1,024 entries per codebook)." in said
    model = {"bottleneck_dim": 512}
    mel = {"frames_per_tr": 140, "n_rows": 128, "codebook_size": 0}
    models = {"encodec": {"shapes": shapes, "model": model}, "mel": {"shapes": mel, "model": model}}
    frames = "codebook), 140 frames of 128 mel bands and a bottleneck of 512 numbers."
    assert frames in text(models)


def test_whom_it_names_it_cites_and_nobody_else():
    texts = [text(), text(codec="bundled"), text(codec="descript/dac_24khz"), text(film=None)]
    texts.append(methods_text(FACTS, {}, set(METRICS)))  # optional scores, too
    texts.append(text(preprocessing="fMRIPrep 23.2.1"))
    for said in texts:
        named = {name for name in REFERENCES if name in said}
        assert references(said) == sorted(REFERENCES[name] for name in named)
        years = re.findall(r"[A-Z][^()]*?, (?:19|20)\d\d\b", said)
        assert all(any(year.endswith(name) for name in named) for year in years)
    assert {name for name in REFERENCES if any(name in said for said in texts)} == set(REFERENCES)


def test_numbers_of_nulls_are_those_of_the_results():
    """Settings may have changed since; older results do not have them."""
    made = {"n_permutations": 20, "n_shifts": 3000, "n_shift_maps": 250}
    alone = FACTS | {"film": None, "nulls": made}
    for said in (methods_text(alone, {}), text(nulls=made)):
        assert "20 phase-randomised nulls" in said
        assert "3,000 circular shifts" in said
        assert "Family-wise p of ridge are from the first 250 of its nulls." in said
    older = methods_text(alone | {"nulls": {}}, {})
    assert "with phase-randomised nulls" in older
    assert "with circular shifts" in older
    assert "the first 500 of its nulls" in text()


def test_without_maps_of_nulls_there_is_no_family_wise_p_of_ridge():
    none = {"n_permutations": 20, "n_shifts": 3000, "n_shift_maps": 0}
    alone = FACTS | {"film": None, "nulls": none}
    for said in (methods_text(alone, {}), text(nulls=none)):
        assert "Of ridge no family-wise p was computed." in said
        assert "Family-wise p-values are of the mean over subjects." in said  # of ISC
    one = methods_text(alone | {"subjects": ["01"]}, {})
    assert "Family-wise" not in one
    assert "inter-subject" not in one


def test_the_network_is_described_as_its_config_says():
    settings = parse_config({}).training.model_dump()
    model = {"training": settings, "best_epoch": 13}
    said = text({"encodec": model, "mel": model | {"best_epoch": 4}})
    assert "AdamW (learning rate 0.0005, weight decay 0.05, cosine schedule, windows of" in said
    assert "for at most 20 epochs, stopped after 6" in said
    assert "lowest validation loss was kept: 14 (codes), 5 (mel)." in said
    assert "codes or mel 1, sound as it is heard 1, words 0.2, BOLD 0.5." in said  # no video
    learned = text({"encodec": {"training": settings | {"balance": "uncertainty"}}})
    assert "BOLD 0.5, times learned weights." in learned
    assert "AdamW" not in text()


@pytest.mark.parametrize("layout", ["slots", "flat"])
@pytest.mark.parametrize("others", [(), (("score", (4, 128)),)])
def test_the_bottleneck_is_as_large_as_the_models(layout, others):
    """Oracle: the network itself, built without memory for its weights."""
    shapes = Shapes(True, 8, 75, video=(1, 90, 160), n_text=1024, others=others)
    config = ModelConfig(layout=layout)
    with torch.device("meta"):
        size = Autoencoder(shapes, config).bottleneck_dim
    model = {"model": config.model_dump(), "shapes": shapes.to_dict()}
    assert f"and a bottleneck of {size:,} numbers." in text({"encodec": model})


def test_optional_parts_are_described_where_they_were_done():
    settings = parse_config(SET)
    plain = methods_text(FACTS | {"settings": settings}, {})
    for name, words in {
        "yardsticks": "in noise of its spectrum (10 and 0 dB)",
        "matched": "at the codec's bitrate",
        "lesions": f"({settings.lesion.n_draws} draws)",
        "searchlight": "from each region, parcel or sphere",
        "levels": "from each level of the stimulus",
        "left_out": "left out of training the network",
        "calibration": "some minutes of that subject's training part",
        "prior": f"clips of {settings.prior.window_seconds:g} s were retrieved",
    }.items():
        assert words in methods_text(FACTS | {"settings": settings}, {}, done={name})
        assert words not in plain
        methods_text(FACTS, {}, done={name})  # settings are not always known


def test_parts_are_those_of_the_results():
    table = pd.DataFrame({"a": [1]})
    extras = Extras(matched=table, lesions={"mel": table}, levels=table, left_out={"mel": table})
    scores = pd.DataFrame({"column": ["original_noise_0db"], "metric": ["stoi"], "value": [1.0]})
    done = parts_done(Material(scores, {}, 24000, {}, FACTS, None, extras))
    assert done == {"yardsticks", "matched", "lesions", "levels", "left_out"}
    assert parts_done(Material(scores[:0], {}, 24000, {}, FACTS)) == set()


def test_scans_without_a_film_are_cleaned_and_corrected_too():
    said = text(film=None, modalities=["words"])
    for each in (
        "a linear trend, cosines below 0.01 Hz and six motion",
        "q-values over voxels control the false discovery rate (Benjamini and Hochberg, 1995)",
        "mixtures of bands (banded ridge; Dupré",
    ):
        assert each in said
    assert "Banded ridge tried" not in said  # of one band
    several = text(film=None, modalities=["words", "notes"])
    assert "Banded ridge tried about 20 fixed mixtures" in several
    assert "training and decoding" not in said
    assert "banded" not in text(film=None, modalities=[])


def test_labels_within_a_sentence_are_in_lower_case_and_no_scan_is_called_measured():
    said = methods_text(
        FACTS | {"settings": parse_config(SET), "simulated": True},
        {},
        {"identification_bold_10way", "bold_r_reliable"},
    )
    assert "sign-flip tests of STOI and log-mel distance, paired" in said
    assert "correlation of the scans' BOLD with the BOLD" in said
    assert "measured BOLD" not in said
    assert "Reliable voxels are the 5 %" in said
    assert "Reliable voxels" not in text()


def test_rates_of_the_codec_and_settings_of_mel():
    said = text(sample_rate=24000, frame_rate=75.0)
    assert "(revision c1dbe2ae, 24 kHz, 75 frames/s; Défossez et al., 2022) at 6 kbit/s" in said
    mel = text(settings=parse_config({"mel": {"n_mels": 80, "hop_length": 300}}))
    assert "Mel spectrograms had 80 bands, and windows of 1,024 samples every 300;" in mel
