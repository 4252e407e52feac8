"""The report holds what it was given, shows it honestly, and needs nothing from outside."""

import base64
import hashlib
import io
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.etree import ElementTree

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from giblet.audio.metrics.scores import score_sound
from giblet.audio.metrics.table import METRICS
from giblet.report.extras import Extras
from giblet.report.figures import history_figures
from giblet.report.listen import PLAYER_SECONDS, listening, moments_text, player_uri
from giblet.report.page import render_page
from giblet.report.sections import SECTIONS
from giblet.report.tables import NO_SPEECH, number, score_tables

SAMPLE_RATE = 24000
STRIPS = 4  # of the ladder
SOUNDS = 1 + 2 * 4  # the original once; the others of both feature types
NAMES = r"<figcaption>(.*?) ?<"  # without gains and ranges
VOID = {"meta", "link", "img", "col", "br", "hr", "input"}


class Page(HTMLParser):
    """Elements with their attributes and the visible text; every element must be closed."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text = [], [], ""
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def words(self):
        return " ".join(self.text.split())


def some_scores(columns):
    rows = [
        ("encodec", "codec", "pesq_wb", 2.41, 2.03, 2.79, 8, 1),
        ("mel", "codec", "pesq_wb", 2.87, 2.55, 3.17, 8, 1),
        ("encodec", "codec", "si_sdr_db", -12.3, -14.2, -10.6, 9, 0),
        ("encodec", "stimulus", "stoi", 0.712, np.nan, np.nan, 1, 0),
        ("encodec", "codec", "kbit_per_s", 6.0, np.nan, np.nan, 1, 0),
        ("mel", "codec", "kbit_per_s", 384.0, np.nan, np.nan, 1, 0),
        ("encodec", "brain", "identification_2way", 0.634, 0.581, 0.688, 72, 0),
        ("encodec", "brain_shuffled", "identification_2way", 0.503, 0.447, 0.559, 72, 0),
        ("encodec", "brain", "pesq_wb", np.nan, np.nan, np.nan, 0, 5),
        ("encodec", "encoding", "bold_r", 0.217, 0.183, 0.246, 4, 0),
    ]
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    table = pd.DataFrame(rows, columns=names)
    return table[table["column"].isin(columns)]


def render(rng, has_bold=True, simulated=True, extras=None, **facts):
    columns = ["codec", "stimulus"] + ["brain", "brain_shuffled"] * has_bold
    sounds = {
        path: {
            column: 0.1 * rng.standard_normal(3 * SAMPLE_RATE).astype(np.float32)
            for column in ["original", *columns]
        }
        for path in ("encodec", "mel")
    }
    epochs = pd.DataFrame(
        {
            "epoch": [0, 0, 1, 1],
            "train/audio": [1.0, np.nan, 0.8, np.nan],
            "validation/audio": [np.nan, 1.0, np.nan, 0.9],
            "validation/loss": [np.nan, 2.0, np.nan, 1.9],
        }
    )
    facts = {
        "codec": "bundled",
        "bandwidth_kbps": 6.0,
        "dataset": "demo",
        "film": "A short film",
        "t_r": 1.5,
        "codec_revision": "12ab34",
        "versions": {"giblet": "0.1.0"},
        "simulated": simulated and has_bold,
        "has_bold": has_bold,
        "warnings": ["3 samples clipped"],
        "config": "t_r: 1.5\n",
    } | facts
    scores = some_scores([*columns, *["encoding"] * has_bold])
    history = {"encodec": epochs, "mel": epochs}
    return render_page(scores, sounds, SAMPLE_RATE, history, facts, extras=extras)


@pytest.fixture(scope="module")
def html():
    return render(np.random.default_rng(0))


def test_it_is_well_formed_and_shows_every_score(html):
    words = Page(html).words()
    for row in some_scores(
        ["codec", "stimulus", "brain", "brain_shuffled", "encoding"]
    ).itertuples():
        decimals = METRICS[row.metric].decimals
        assert number(row.value, decimals) in words
        if np.isfinite(row.low):
            assert f"[{number(row.low, decimals)}, {number(row.high, decimals)}]" in words
    assert "n 8, failed 1" in words
    assert "−12.3" in words


def test_notes_are_not_counted_as_warnings(rng):
    """What changes no result noticeably stands apart, and the head of the page counts the rest."""
    note = "6 TRs were scanned after the film's end, and left out"
    few, many = (f"brain.wav: {n} samples clipped, peak 1.03" for n in (17, 5000))
    html = render(rng, warnings=[note, "sub-01 moved", few, many])
    assert ">2 warnings</a>" in html
    warned, noted = re.search(r'id="warnings"(.*?)id="notes"(.*?)</section>', html, re.S).groups()
    assert [text for text in ("sub-01 moved", many) if text not in warned] == []
    assert note not in warned
    assert note.replace("'", "&#39;") in noted
    assert few in noted
    only_notes = render(rng, warnings=[note])
    assert "warning</a>" not in only_notes
    assert "<p>None.</p>" in only_notes


def test_differences_to_nulls_and_retrieval_are_on_the_page(rng, html):
    assert "No paired differences to the nulls" in html  # of results made before
    names = [*("path", "baseline", "metric", "brain", "baseline_value", "difference", "low")]
    names += ["high", "p", "n", "n_flips", "n_shifts", "shifts_low", "shifts_high"]
    rows = [
        ("encodec", "brain_shuffled", "stoi", 0.2, 0.1, 0.1, 0, 0.2, 1e-4, 20, 9999, 9, 0.05, 0.15),
        ("encodec", "nearest_clip", "stoi", 0.2, 0.1, 0.1, 0, 0.2, 0.3, 20, 9999, *[np.nan] * 3),
        ("mel", "nearest_clip", "stoi", 0.2, 0.1, 0.1, 0, 0.2, 0.3, 33, 9999, *[np.nan] * 3),
    ]
    page = render(rng, extras=Extras(baselines=pd.DataFrame(rows, columns=names)))
    part = page.split('id="baselines"')[1].split('id="mel"')[0]
    for text in (
        "≤ 0.0001",
        "0.050 to 0.150 (9 shifts)",
        "Retrieval by simulated BOLD",
        "20 segments",
    ):
        assert text in part
    assert "33 segments" not in part  # of mel, which has its own part
    assert "33 segments" in page.split('id="other_baselines"')[1].split("<details>")[0]
    assert "n counts these moments" in page
    assert "is a retrieval baseline, not a null" in page


ABSENT = (
    "brain",
    "score",
    "where",
    "levels",
    "calibration",
    "prior",
)  # of scans, a score, and rules of their own


def test_sections_come_in_the_order_in_which_one_asks(html):
    places = [s.anchor for s in SECTIONS if s.anchor not in ABSENT]
    assert re.findall(r'<h2 id="(\w+)"', html) == places
    assert places == [
        "answer",
        "listen",
        "compare",
        "data",
        "methods",
        "training",
        "facts",
        "downloads",
    ]


def test_nan_is_a_dash_and_an_absent_score_is_nothing():
    (sound, brain, encoding) = score_tables(
        some_scores(["codec", "stimulus", "brain", "encoding"]), simulated=False
    )
    pesq = {metric.heading: cells for metric, cells in brain.rows}["PESQ (wide band)"]
    assert [(c.value, c.low, c.n, c.n_failed) for c in pesq] == [("–", "", "0", "5")]
    stoi = {metric.heading: cells for metric, cells in sound.rows}["STOI"]
    assert [c and (c.value, c.low) for c in stoi] == [None, None, ("0.712", "")]
    assert encoding.systems == ["Predicted BOLD"]


def test_what_could_not_be_scored_says_why():
    """Oracle: what ``score_sound`` counts of sounds that are silent, too short or no speech."""
    times = np.arange(9 * SAMPLE_RATE) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * 440 * times).astype(np.float32)
    sounds = {"tone": (tone, tone), "silence": (tone, np.zeros_like(tone))}
    sounds |= {"short": (tone[:6000], tone[:6000])}
    found = {}
    for name, pair in sounds.items():
        scores = score_sound(*pair, SAMPLE_RATE, n_bootstrap=10).assign(path=name, column="x")
        (cells,) = [t.rows for t in score_tables(scores, simulated=False)]
        found[name] = {metric.heading: cell.why for metric, (cell,) in cells}
    nothing = dict.fromkeys(found["tone"], "") | {"PESQ (wide band)": NO_SPEECH}
    assert found["tone"] == nothing
    assert {found["silence"][k] for k in ("SI-SDR (dB)", "Sync error (ms)")} == {"silence"}
    assert found["silence"]["STOI"] == METRICS["stoi"].unscored
    assert found["short"] == nothing | dict.fromkeys(("STOI", "ESTOI"), "silence, or too short")
    rows = [("mel", "codec", "pesq_wb", np.nan, np.nan, np.nan, 0, 2)]
    failed = pd.DataFrame(rows, columns=list(some_scores([]))), False
    assert score_tables(*failed)[0].rows[0][1][0].why == METRICS["pesq_wb"].unscored


def test_systems_have_one_name_in_tables_and_in_listen(html):
    """``codec`` is Griffin-Lim where the features are mel."""
    (first, *_) = score_tables(some_scores(["codec"]), simulated=False)
    assert first.systems == ["Codec", "Mel + Griffin-Lim"]
    named = re.findall(NAMES, html)
    shown = {
        "Original",
        "Codec",
        "Mel + Griffin-Lim",
        "Through the model",
        "Through the model, mel",
    }
    assert shown <= set(named)
    rows = re.findall(r'<th scope="row">([^<]*)</th>', html.split('id="compare"')[1])
    assert shown - {"Original", "Through the model, mel"} <= set(rows)
    ladder = re.findall(
        r"<strong>(.*?)</strong>", html.split('id="ladder"')[1].split("</section>")[0]
    )
    assert ladder[:3] == ["Original", "Codec", "Through the model"]


def test_nulls_and_other_features_are_folded_away(html):
    listen = html.split('id="listen"')[1].split("</section>")[0]
    seen, folded = listen.split("<details>")
    assert re.findall(NAMES, seen) == [
        *("Original", "Codec", "Through the model", "From BOLD (simulated)")
    ]
    assert len(re.findall(NAMES, folded)) == SOUNDS - 4


def test_every_section_can_be_jumped_to(html):
    page = Page(html)
    anchors = [a["href"][1:] for a in page.all("a") if "download" not in a]
    listed = [s for s in SECTIONS if s.anchor not in ABSENT]
    places = [anchor for s in listed for anchor in (s.anchor, *(part for part, _ in s.parts))]
    assert [a for a in anchors if a in places] == ["warnings", *places]  # the first: of warnings
    assert set(anchors) <= {a["id"] for _, a in page.elements if "id" in a}


def test_one_segment_is_shown_once():
    wave = np.zeros(SAMPLE_RATE, np.float32)
    sounds = {"mel": {"original": wave, "codec": wave}}
    chosen = dict.fromkeys(("median", "best", "worst"), (0, SAMPLE_RATE))
    only = listening(sounds, SAMPLE_RATE, chosen, False)
    assert [m.name for m in only] == ["only segment"]
    assert moments_text(only) == "the only segment that has a STOI (1 s)"
    chosen["best"] = (0, SAMPLE_RATE // 2)
    several = listening(sounds, SAMPLE_RATE, chosen, False)
    assert [m.name for m in several] == ["median and worst segment", "best segment"]
    assert moments_text(several).startswith("the median, the best and the worst segment by STOI")
    assert moments_text(listening(sounds, SAMPLE_RATE, {}, False)) == "the first 1 s"
    assert moments_text([]) == ""


def test_no_score_reads_nan(html):
    assert not re.search(r"\b(nan|inf)\b", Page(html).text, re.IGNORECASE)


def test_the_same_score_twice_is_refused():
    scores = some_scores(["codec"])
    with pytest.raises(ValueError, match="duplicate"):
        score_tables(pd.concat([scores, scores]), simulated=False)


def test_nothing_comes_from_outside(html):
    page = Page(html)
    addresses = [a[k] for _, a in page.elements for k in ("src", "href") if k in a]
    assert len(addresses) > 10
    assert all(address.startswith(("data:", "#")) for address in addresses)
    drawn = re.compile(r"data:image/svg[^\"]*")
    assert "url(" not in drawn.sub("", html)
    figures = unquote("".join(drawn.findall(html)))
    assert set(re.findall(r"url\((.)", figures)) <= {"#"}


def test_only_its_own_script_may_run(html):
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    expected = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    assert unescape(policy).split("script-src ")[1] == f"'sha256-{expected}'"
    assert Page(html).all("script") == [{}]


def test_simulated_brains_are_called_simulated_everywhere(rng, html):
    page = Page(html)
    assert [a for _, a in page.elements if a.get("class") == "badge"]
    assert "computed by a forward model, not measured" in page.words()
    without_glossary = re.sub(r'<details class="glossary".*?</details>', "", html, flags=re.DOTALL)
    labels = re.findall(r"<(?:figcaption|th [^>]*colgroup[^>]*|dt)>([^<]*)<", without_glossary)
    brain = [
        text for text in labels if re.search("(From|Shuffled|Predicted|Retrieval).*|ceiling", text)
    ]
    assert brain
    assert all("simulated" in text for text in brain)
    captions = re.findall(r"<caption><span>(.*?)</span>", html)
    assert captions[-2:] == [
        "From BOLD to sound, with null models (simulated brains)",
        "Prediction of BOLD (simulated brains)",
    ]
    measured = render(rng, simulated=False)
    assert "imulated" not in Page(measured).text
    assert "badge" not in [a.get("class") for _, a in Page(measured).elements]


def test_without_a_scan_it_says_so(rng, html):
    sentence = "No scan was given: there is no brain column."
    words = Page(render(rng, has_bold=False)).words()
    assert sentence in words
    assert "null: BOLD" not in words
    assert sentence not in Page(html).words()


def test_a_brain_without_a_scan_is_refused():
    facts = {"has_bold": False, "simulated": False}
    with pytest.raises(ValueError, match="there was no scan, yet there is brain"):
        render_page(some_scores(["brain"]), {}, SAMPLE_RATE, {}, facts)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"codec": np.zeros(9, np.float32)}, "has no original, only .'codec'."),
        ({"original": np.zeros(9, np.float32), "codec": np.zeros(8, np.float32)}, "equally long"),
    ],
)
def test_sounds_that_cannot_be_compared_are_refused(columns, problem):
    facts = {"has_bold": False, "simulated": False}
    with pytest.raises(ValueError, match=problem):
        render_page(some_scores(["codec"]), {"mel": columns}, SAMPLE_RATE, {}, facts)


@pytest.mark.parametrize(
    "hostile", ['<script>alert("1")</script>', "<script>alert(1)</script>.mp4", "<b>01</b>"]
)
def test_text_is_escaped(hostile, rng):
    more = {"film": hostile, "warnings": [hostile], "config": hostile, "note": hostile}
    plain = render(rng, has_bold=True, subjects=["01"])
    html = render(rng, has_bold=True, subjects=[hostile], **more)
    for tag in ("script", "b"):
        assert len(Page(html).all(tag)) == len(Page(plain).all(tag))  # the page's own
    assert unescape(html).count(hostile) >= 5
    assert hostile in Page(html).text


def test_names_do_not_reorder_the_words_around_them(rng):
    hostile = "a\u202egnp.\u05d0 2"
    more = {"film": hostile, "dataset": hostile, "warnings": [hostile], "config": f"a\n{hostile}"}
    html = render(rng, has_bold=True, subjects=[hostile], **more)
    assert "\u202e" not in html
    shown = "a\\u202egnp.\u05d0 2"
    assert f"<bdi>{shown}</bdi>" in re.search("<h1>.*", html)[0]
    assert f"<bdi>Dataset {shown}</bdi>" in html
    assert f"<title>giblet: \u2068{shown}\u2069" in html
    assert f"a\n{shown}" in html


def test_the_same_input_gives_the_same_bytes(html):
    assert render(np.random.default_rng(0)) == html


def test_pictures_have_alternative_text_and_can_be_read(html):
    pictures = Page(html).all("img")
    assert len({p["alt"] for p in pictures}) == len(pictures)
    found = [picture["src"].split(",", 1) for picture in pictures]
    drawn = [unquote(what) for kind, what in found if kind == "data:image/svg+xml"]
    assert len(drawn) == 5 + 2  # metrics, training curves
    assert all(ElementTree.fromstring(svg).tag.endswith("svg") for svg in drawn)
    spectrograms = [
        base64.b64decode(what) for kind, what in found if kind == "data:image/webp;base64"
    ]
    assert len(spectrograms) == STRIPS + 1 + SOUNDS + 1  # each with a colour bar
    assert len(drawn) + len(spectrograms) == len(pictures)
    sizes = [Image.open(io.BytesIO(png)).size for png in spectrograms]
    assert set(sizes[:STRIPS]) == {(301, 96)}  # 10 ms
    assert set(sizes[STRIPS + 1 : -1]) == {(151, 96)}  # 20 ms


def test_curves_count_epochs_as_the_log_does_and_say_where_training_has_none():
    """Of epochs 0, 1 and 2 in the table."""
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "train/audio": [1.0, 0.8, 0.7]})
    epochs["validation/loss"] = [2.0, 1.9, 1.8]
    figures = {one.title: one.uri for one in history_figures({"mel": epochs}, simulated=False)}
    sound = "Sound, as features (audio)"
    assert list(figures) == ["Weighted sum of all losses (loss); validation only", sound]
    svg = ElementTree.fromstring(unquote(figures[sound].split(",", 1)[1]))
    assert "loss; 1: training mean" in "".join(svg.itertext())
    ticks = [g for g in svg.iter() if g.get("id", "").startswith("xtick_")]
    shown = ["".join(t.itertext()).strip() for t in ticks]
    assert shown == ["1", "2", "3"]


def decoded(uri):
    """Samples (n_samples,) of a player and their rate in Hz."""
    with av.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([f.to_ndarray()[0] for f in frames]), frames[0].sample_rate


def test_players_last_as_long_as_their_sounds(html):
    players = Page(html).all("audio")
    assert len(players) == STRIPS + SOUNDS
    for player in players:
        samples, rate = decoded(player["src"])
        assert len(samples) / rate == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("sample_rate", [16000, 24000, 44100])
def test_a_player_plays_the_sound_it_was_given(sample_rate):
    times = np.arange(2 * sample_rate) / sample_rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    samples, rate = decoded(player_uri(tone, sample_rate))
    assert np.abs(np.fft.rfft(samples[:rate])).argmax() == 440
    assert samples.std() == pytest.approx(tone.std(), rel=0.05)


def test_a_long_sound_is_cut():
    silence = np.zeros(int((PLAYER_SECONDS + 5) * 8000), dtype=np.float32)
    samples, rate = decoded(player_uri(silence, 8000, PLAYER_SECONDS))
    assert len(samples) / rate == pytest.approx(PLAYER_SECONDS, abs=1e-3)
