"""The methods text tells what was set and done, no more, and cites whom it names."""

import re
from dataclasses import replace

import numpy as np

from giblet.audio.metrics.table import METRICS
from giblet.config.config import parse_config
from giblet.report.methods import REFERENCES, methods_text, references
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


def test_what_was_set_is_told():
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


def test_where_training_began_is_told_once():
    models = {"encodec": {"started_from": "bundled"}, "mel": {"started_from": "bundled"}}
    assert text(models).count("which was trained on other sounds") == 1
    both = text({"encodec": {"started_from": "none"}, "mel": {"started_from": "bundled"}})
    assert "started from random weights and the sound part of the bundled model" in both
    assert "started from" not in text()


def test_no_scan_and_simulated_scans_are_no_measured_ones():
    assert "SIMULATED from the film, not measured" in text(simulated=True)
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
    assert "that the model, ridge and banded ridge predict from the film." in scored
    assert "ridge and banded ridge predict" not in text()


def test_frames_of_codes_are_those_of_the_model():
    shapes = {"frames_per_tr": 150, "n_rows": 8, "codebook_size": 1024}
    said = text({"encodec": {"shapes": shapes}})
    assert "mono. A TR of 2 s has 150 frames of 8 codes (1,024 entries per codebook)." in said
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
