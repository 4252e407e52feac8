"""A setting that cannot be meant is refused in one line that says what is."""

import json
from datetime import date
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml

from giblet.config.config import Config, parse_config
from giblet.config.docs import settings_page, settings_schema
from giblet.errors import GibletError

CONFIG = Path(__file__).parents[2] / "config"


def refused(settings):
    with pytest.raises(GibletError) as caught:
        parse_config(settings)
    message = str(caught.value)
    assert message.startswith("config: ")
    assert "Value error" not in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bandwith_kbps": 6}, "unknown key bandwith_kbps; did you mean bandwidth_kbps?"),
        ({"mel": {"n_mel": 80}}, "unknown key mel.n_mel; did you mean mel.n_mels?"),
        ({"max_epochs": 3}, "unknown key max_epochs; did you mean training.max_epochs?"),
        ({"mel.n_mels": 80}, "unknown key 'mel.n_mels'; write mel: {n_mels: ...}"),
        ({"xyzzy": 1}, "unknown key xyzzy"),
        ({"vidoe": {"height": 20}}, "unknown key vidoe; did you mean video?"),
        ({"T-R": 1}, "unknown key T-R; did you mean t_r?"),
        ({"task": False}, "if YAML made False of no, on or 010, quote what you wrote"),
        ({"t_r": "fast"}, "t_r = 'fast': input should be a valid number"),
        ({"use_encodec": "perhaps"}, "use_encodec = 'perhaps'"),
        ({"mel": 80}, "mel = 80: needs keys and values, as n_mels: ..."),
        (
            {"framing": "natve"},
            "'natve': must be one of auto, tr_synchronous, native; did you mean",
        ),
        ({"hrf_model": "canonical"}, "must be one of spm, glover, fir, none"),
        (
            {"scan": {"confound_strategy": ["motion", "compcorr"]}},
            "scan.confound_strategy = 'compcorr': must be one of motion, wm_csf, global_signal, "
            "compcor, ica_aroma, high_pass, scrub; did you mean compcor?",
        ),
        ({"mel": {"max_epochs": 80}}, "unknown key mel.max_epochs; did you mean training.max_ep"),
        ({"mel": {"xyzzy": 80}}, "unknown key mel.xyzzy; it has n_mels, n_fft, hop_length, n_iter"),
        ({"mel": {}, "scan": None}, "scan = None: needs keys and values, as high_pass_hz: ..."),
        ({"fir_lags_seconds": 5}, "fir_lags_seconds = 5: input should be a valid list"),
        ({"fir_lags_seconds": [2, 99]}, "fir_lags_seconds = 99: input should be less than or eq"),
        ({"max_trs": 2.5}, "max_trs = 2.5: input should be a valid integer"),
        ({"bold": True}, 'bold = True: must be text: write it in quotes, bold: "True"'),
        ({"dataset": 123}, "--config dataset='\"123\"')"),
        ({"dataset": date(2024, 1, 31)}, "--config dataset='\"2024-01-31\"')"),
        ({"model": {"slot_video": 90, "slot_text": 90}}, "90: slot_video and slot_text take 180"),
        ({"splits": {"validation_runs": ["2"]}}, "['2']: goes with splits.test_runs"),
        ({"film": None}, 'film = None: must be text; to leave it out write "none"'),
        ({"t_r": 0}, "greater than or equal to 0.1"),
        ({"t_r": 1500}, "less than or equal to 60"),
        ({"t_r": float("nan")}, "t_r = nan"),
        ({"training": {"learning_rate": float("inf")}}, "training.learning_rate = inf"),
        ({"splits": {"test": 1.0}}, "splits.test = 1.0: input should be less than 1"),
        ({"max_trs": 0}, "max_trs = 0"),
        (
            {"dataset": "../elsewhere"},
            "dataset = '../elsewhere': other characters are in it: folder",
        ),
        ({"seed": -1}, "seed = -1"),
        (["t_r"], "settings = ['t_r']"),
    ],
)
def test_what_is_wrong_is_named(settings, said):
    assert said in refused(settings)


def test_all_mistakes_are_named_at_once():
    message = refused({"t_r": 0, "film": 3})
    assert "t_r = 0" in message
    assert "film = 3" in message


def test_sections_keep_their_defaults_beside_what_is_given():
    config = parse_config({"mel": {"n_mels": 80}, "training": {"max_epochs": 1}})
    assert (config.mel.n_mels, config.mel.n_fft) == (80, 1024)
    assert (config.training.max_epochs, config.training.patience) == (1, 6)


@pytest.mark.parametrize(
    ("settings", "bold", "annotated"),
    [
        ({}, "simulated", True),
        ({"film": "mine.mp4"}, "none", False),
        ({"film": "mine.mp4", "bold": "simulated", "annotations": "said.tsv"}, "simulated", True),
        ({"annotations": "none", "bold": "none"}, "none", False),
        ({"bold": "derivatives"}, "derivatives", True),
    ],
)
def test_only_the_demo_has_brains_and_words_of_its_own(settings, bold, annotated):
    config = parse_config(settings)
    assert (config.bold_source, config.has_annotations) == (bold, annotated)


@pytest.mark.parametrize(("use_encodec", "path"), [(True, "encodec"), (False, "mel")])
def test_use_encodec_chooses_the_feature_type(use_encodec, path):
    assert parse_config({"use_encodec": use_encodec}).path == path
    assert parse_config({}).path == "encodec"


def test_null_of_the_command_line_is_none():
    """Snakemake's ``--config max_voxels=null 'scan={high_pass_hz: null}'``."""
    config = parse_config({"max_voxels": "null", "scan": {"high_pass_hz": "~"}, "text_model": "~"})
    assert (config.max_voxels, config.scan.high_pass_hz) == (None, None)
    assert config.text_model == "~"
    with pytest.raises(GibletError, match="t_r = 'null'"):
        parse_config({"t_r": "null"})


def test_settings_do_not_change_after_they_are_checked():
    with pytest.raises(ValueError, match="frozen"):
        parse_config({}).t_r = 2.0


def test_settings_survive_json():
    config = parse_config({"max_trs": 40, "task": "film", "mel": {"n_mels": 80}})
    assert Config.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_every_config_file_is_valid(path):
    parse_config(yaml.safe_load(path.read_text()))


def test_the_readme_lists_every_setting():
    assert (CONFIG / "README.md").read_text() == settings_page(), "run the command in that file"
    assert all(f"| `{name}" in settings_page() for name in Config.model_fields)


def schema_says(settings):
    """What jsonschema, which is none of ours, finds wrong by the schema in the workflow."""
    schema = json.loads((CONFIG.parent / "workflow/schemas/config.schema.json").read_text())
    return [
        error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(settings)
    ]


def test_the_schema_is_that_of_the_settings():
    schema = CONFIG.parent / "workflow" / "schemas" / "config.schema.json"
    assert schema.read_text() == settings_schema(), "see the head of config/README.md"
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.read_text()))


@pytest.mark.parametrize(
    "path",
    sorted([*CONFIG.glob("*.yaml"), *CONFIG.glob("model/*.yaml")]),
    ids=lambda path: path.name,
)
def test_every_config_file_fits_the_schema(path):
    assert not schema_says(yaml.safe_load(path.read_text()))


@pytest.mark.parametrize(
    "settings",
    [
        {"bandwith_kbps": 6},
        {"mel": {"n_mel": 80}},
        {"t_r": "fast"},
        {"t_r": 0},
        {"mel": 80},
        {"framing": "natve"},
        {"film": None},
        {"dataset": "../elsewhere"},
        {"scan": {"confound_strategy": ["compcorr"]}},
        {"fir_lags_seconds": [2, 99]},
    ],
)
def test_the_schema_refuses_what_giblet_refuses(settings):
    refused(settings)
    assert schema_says(settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seed": 10**23}, "seed = 10000.*: must be 4,294,967,295 at most"),
        ({"quality": {"n_permutations": int("9" * 401)}}, "quality.n_permutations = 9{100}: must"),
        ({"words": {"unit_seconds": 1e308}}, "words.unit_seconds = 1e[+]308: must be 4,294"),
        ({"training": {"learning_rate": 1e300}}, "training.learning_rate = 1e[+]300: "),
        ({"video": {"height": 2}}, "video.height = 2: input should be greater than or equal to 16"),
    ],
)
def test_absurd_numbers_are_refused(settings, said):
    with pytest.raises(GibletError, match=said):
        parse_config(settings)


def test_seeds_are_those_that_numpy_takes():
    largest = 2**32 - 1
    np.random.RandomState(largest)
    with pytest.raises(ValueError, match="Seed must be between"):
        np.random.RandomState(largest + 1)
    assert parse_config({"seed": largest}).seed == largest
