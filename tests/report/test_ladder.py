"""The ladder shows and plays one and the same seconds; its numbers are those of the scores."""

import base64
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from PIL import Image

from giblet.film.modalities import MODALITIES
from giblet.log import visible
from giblet.report.extras import Extras
from giblet.report.headline import behind_headline, headline
from giblet.report.ladder import ladder
from giblet.report.ladder_figure import ladder_figure
from giblet.report.material import Material
from giblet.report.page import _environment, _rendered, page_of
from giblet.report.sections import SECTIONS
from giblet.report.strips import (
    band_edges,
    level_gains,
    own_scale,
    own_shades,
    strip_image,
    strip_levels,
)
from giblet.report.systems import PICTURES

RATE = 24000
NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
BY_SOUND = "identification_sound_10way"
ROWS = [
    ("encodec", "codec", BY_SOUND, 1, 1, 1, 12, 0),
    ("encodec", "brain", BY_SOUND, 0.437, 0.217, 0.683, 12, 0),
    ("encodec", "brain_shuffled", BY_SOUND, 0.081, 0.041, 0.129, 12, 0),
    ("encodec", "nearest_clip", BY_SOUND, 0.355, 0.172, 0.566, 12, 0),
    ("encodec", "codec", "stoi", 0.842, 0.8, 0.88, 14, 0),
    ("encodec", "brain", "stoi", 0.244, 0.2, 0.28, 14, 0),
]
FACTS = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
FACTS |= {"warnings": [], "simulated": True, "has_bold": True, "config": "", "subjects": ["sub-01"]}
SEGMENTS = {("encodec", "stimulus"): {"stoi": np.array([0.7, 0.9, 0.8])}}  # the last is median


def material(rng, columns=("codec", "stimulus", "brain"), rows=ROWS, timeline=None, **facts):
    """24 s of noise that is quieter step by step."""
    noise = rng.standard_normal(24 * RATE).astype(np.float32)
    sounds = {c: 0.1 * 0.3**k * noise for k, c in enumerate(("original", *columns))}
    extras = Extras(segments=SEGMENTS, timeline=timeline)
    scores = pd.DataFrame(rows, columns=NAMES)
    return Material(scores, {"encodec": sounds}, RATE, {}, FACTS | facts, None, extras)


def test_every_strip_is_of_the_median_segment_at_the_level_of_the_original(rng):
    shown = ladder(material(rng))
    assert [strip.name for strip in shown.strips] == [
        "Original",
        "Codec",
        "Through the model",
        "From BOLD",
    ]
    assert [strip.gain for strip in shown.strips] == ["", "+10 dB", "+21 dB", "+31 dB"]
    assert len({strip.picture for strip in shown.strips}) == 1  # the same but for their level
    assert shown.title == "The median 8 s"
    assert shown.ticks[0] == ("0:16", 0.0)
    assert shown.ticks[-1] == ("0:24", 100.0)


def test_a_strip_in_its_own_colour_scale_uses_all_colours(rng):
    """On the original's scale a strip of little contrast is nearly one colour."""
    quiet = np.linspace(-60, -50, 96 * 50).reshape(96, 50)
    low, high = own_scale(quiet)
    assert (low, high) == pytest.approx((-59.8, -50.0), abs=0.05)
    drawn = shades(strip_image(quiet, 0.0))
    assert np.ptp(drawn) < 40
    shades_of, words = own_shades(quiet, 0.0)
    darkest, lightest = map(int, shades_of.split())
    assert np.percentile(drawn, [2, 99.8]) == pytest.approx([darkest, lightest], abs=1)
    assert words == "−60 to −50 dB"
    silent = own_scale(np.full((96, 50), -120.0))
    assert silent == (-121.0, -120.0)  # no division by 0
    strip = ladder(material(rng)).strips[-1]
    low, high = (float(end.replace("−", "-")) for end in strip.own_range[:-3].split(" to "))
    assert low < high <= 0


def shades(uri):
    """Numbers of the colours of a picture, (n_bands, n_frames)."""
    with Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    magma = colormaps["magma"](np.arange(256), bytes=True)[:, :3]
    numbers = {tuple(colour): number for number, colour in enumerate(magma.tolist())}
    return np.array([[numbers[tuple(pixel)] for pixel in row] for row in pixels.tolist()])


def test_single_subjects_are_dots_where_there_are_several(rng):
    rows = [("encodec", "brain", BY_SOUND, f"sub-{k}", v) for k, v in enumerate((0.3, 0.5))]
    rows += [("encodec", "brain", "stoi", "sub-0", 0.2), ("mel", "brain", BY_SOUND, "sub-0", 0.1)]
    one, names = material(rng), ["path", "column", "metric", "subject", "value"]
    table = pd.DataFrame(rows, columns=names)
    both = replace(one, extras=replace(one.extras, by_subject=table))
    assert ladder(both).strips[-1].score.subjects == pytest.approx((30, 50))
    alone = replace(one, extras=replace(one.extras, by_subject=table[1:2]))
    assert ladder(alone).strips[-1].score.subjects == ()


def test_numbers_share_a_unit_and_stand_beside_chance_null_and_retrieval(rng):
    shown = ladder(material(rng))
    original, codec, model, brain = (strip.score for strip in shown.strips)
    assert original is None
    assert model is None  # not in the table
    assert (codec.text, codec.interval) == ("100 %", "")
    assert (brain.text, brain.interval) == ("44 %", "[22, 68]")
    assert [mark[:2] for mark in brain.marks] == [("shuffled BOLD", "8 %"), ("retrieval", "36 %")]
    assert shown.chance == pytest.approx(10)
    assert brain.place == pytest.approx(43.7)


def test_without_identification_it_is_stoi_and_without_a_brain_there_are_three(rng):
    rows = [row for row in ROWS if row[2] == "stoi" and row[1] != "brain"]
    shown = ladder(material(rng, ("codec", "stimulus"), rows, has_bold=False, simulated=False))
    assert [strip.name for strip in shown.strips] == ["Original", "Codec", "Through the model"]
    assert shown.unit == "STOI, up to 1, higher is better"
    assert shown.strips[1].score.text == "0.84"
    assert np.isnan(shown.chance)
    html = page(material(rng, ("codec", "stimulus"), rows, has_bold=False, simulated=False))
    assert "BOLD" not in html.split('<p class="headline">')[0]
    assert "No scan was given, so there is no result for the brain." in html
    assert html.split('<p class="headline">')[1].startswith("Codec alone: STOI 0.84")
    assert "Nulls, retrieval" not in html


def page(one):
    """The first section of the page."""
    return _rendered(_environment(), SECTIONS[0], one)[2]


def test_time_is_that_of_the_film_where_the_seconds_hang_together(rng):
    timeline = pd.DataFrame({"start": [100.0, 116.0], "end": [116.0, 124.0], "part": "test"})
    assert ladder(material(rng, timeline=timeline)).ticks[0] == ("1:56", 0.0)
    timeline["end"] = [120.0, 204.0]
    timeline["start"] = [100.0, 200.0]
    shown = ladder(material(rng, timeline=timeline))
    assert shown.axis == "held-out sound"


def test_a_tone_is_in_its_band_whatever_the_width_of_the_band():
    times = np.arange(RATE) / RATE
    for hz in (100, 440, 3000, 9000):
        levels = strip_levels(np.sin(2 * np.pi * hz * times).astype(np.float32), RATE)
        assert levels.shape == (96, 101)
        edges = band_edges(RATE)
        loudest = int(levels[:, 50].argmax())
        assert edges[loudest - 1] <= hz <= edges[loudest + 2]


def test_white_noise_is_equally_dense_in_every_band(rng):
    levels = strip_levels(rng.standard_normal(20 * RATE).astype(np.float32), RATE)
    density = 10 * np.log10((10 ** (levels / 10)).mean(axis=1))
    assert np.ptp(density) < 1.5


def test_no_gain_goes_over_full_scale(rng):
    peaky = np.zeros(1000)
    peaky[0] = 1.0
    gains = level_gains([np.full(1000, 0.5), peaky])
    assert gains[1] * peaky.max() == pytest.approx(0.98)
    assert gains[1] * peaky.std() / (gains[0] * 0.5) == pytest.approx(1, abs=1e-3)


def test_the_sentence_names_what_the_number_is_compared_with():
    sentence, of_sound = headline(pd.DataFrame(ROWS, columns=NAMES), FACTS)
    assert sentence == (
        "From simulated BOLD, the decoded sound picks the right clip out of 10 in 44 % of cases "
        "(chance 10 %, shuffled BOLD 8 %; retrieval 36 %). STOI 0.24."
    )
    assert of_sound == "Codec alone: STOI 0.84."


def test_the_sentence_says_what_is_not_shown():
    columns = ["path", "baseline", "metric", "difference", "low", "high", "p", "n", "n_flips"]
    paired = [
        ("encodec", "brain_shuffled", BY_SOUND, 0.356, 0.12, 0.5, 0.0195, 12, 4096),
        ("encodec", "nearest_clip", BY_SOUND, 0.082, -0.077, 0.155, 0.594, 12, 4096),
        ("encodec", "brain_shuffled", "stoi", 0.003, -0.005, 0.013, 0.469, 14, 4096),
    ]
    rows = [*ROWS, ("encodec", "brain_shuffled", "stoi", 0.241, 0.2, 0.28, 14, 0)]
    scores, frame = pd.DataFrame(rows, columns=NAMES), pd.DataFrame(paired, columns=columns)
    sentence, _ = headline(scores, FACTS, None, frame)
    assert sentence.endswith(
        "in 44 % of cases (chance 10 %, shuffled BOLD 8 %, p = 0.02; retrieval 36 %, not shown to "
        "differ). STOI 0.24, shuffled 0.24: no difference shown."
    )
    assert len(sentence.split()) < 50
    against_null, to_retrieval = behind_headline(scores, None, frame)
    assert against_null == (
        "Clips identified by sound (codes), minus those from shuffled BOLD, paired by clip: 36 "
        "points [12, 50], p = 0.0195."
    )
    assert to_retrieval.endswith(
        "from retrieval, paired by clip: 8 points [−8, 16], p = 0.5940, not shown to differ."
    )
    frame["p"] = 0.01
    sentence, _ = headline(scores, FACTS, None, frame)
    assert sentence.endswith("retrieval 36 %, p = 0.01). STOI 0.24, shuffled 0.24, p = 0.01.")


def test_stoi_is_named_only_where_there_is_speech():
    def rows(n_speech):
        return pd.DataFrame(
            [*ROWS, ("encodec", "codec", "pesq_wb", 2, 2, 2, n_speech, 0)], columns=NAMES
        )

    assert "STOI" not in headline(rows(0), FACTS)[0]
    assert headline(rows(8), FACTS)[0].endswith("STOI 0.24.")
    *_, line = behind_headline(rows(8))
    assert line.endswith("here of 14 segments, 8 of them at least half speech.")
    assert behind_headline(rows(0))[-1].endswith("14 segments, none of them at least half speech.")


def test_noise_in_place_of_scans_is_called_noise(rng):
    noise = material(rng, simulated=False, brains="noise")
    html = page(noise)
    assert "From noise in place of BOLD, the decoded sound" in html
    assert "noise, sub-01" in html
    assert "The brain (noise)." in html
    whole = page_of(noise)
    assert '<span class="badge">No data: noise</span>' in whole
    assert "<dt>Brains</dt><dd>noise</dd>" in whole
    assert "scores from it must be at chance" in whole
    measured = page_of(material(rng, simulated=False))
    assert '<span class="badge">' not in measured
    assert "<dt>Brains</dt><dd>measured</dd>" in measured


def test_seconds_that_are_of_no_film_are_not_called_film(rng):
    assert "8 s of held-out sound, step by step" in page(material(rng))
    timeline = pd.DataFrame({"start": [100.0], "end": [124.0], "part": "test"})
    of_film = material(rng, timeline=timeline)
    assert "8 s of held-out film, step by step" in page(of_film)
    assert MODALITIES["video"].label == PICTURES
    song = page(material(rng, timeline=timeline, modalities=["sound", "score"]))
    assert "8 s of held-out sound, step by step" in song
    assert "Minutes and seconds of stimulus" in song
    note = ladder_figure(ladder(of_film)).note
    assert "1:56 to 2:04 of the film (the median segment by STOI of Through the model)" in note
    assert "From BOLD: simulated, sub-01." in note


def test_without_identification_the_sentence_says_so():
    short = [row for row in ROWS if row[2] == "stoi"]
    sentence, _ = headline(pd.DataFrame(short, columns=NAMES), FACTS | {"simulated": False})
    assert sentence.startswith("From BOLD, clips were not identified: this needs two or more")


@pytest.mark.parametrize("name", ["<b>" + 200 * "x", "\u202egpj.exe", "שלום"])
def test_any_name_of_a_subject_is_shown_as_it_is(rng, name):
    from html import escape

    html = page(material(rng, subjects=[name]))
    assert f"simulated, {escape(visible(name))}" in html
    assert "<b>" not in html
