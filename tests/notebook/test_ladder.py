"""The ladder in a notebook shows the seconds that the page shows, at one level."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import soundfile
import xarray as xr
from small_results import write_results

import giblet
from giblet.audio.metrics.metric import SPEECH
from giblet.audio.metrics.table import segment_metrics
from giblet.errors import GibletError
from giblet.io.arrays import save_arrays
from giblet.io.tables import save_table
from giblet.notebook.ladder_material import ladder_material
from giblet.report.page import page_of


@pytest.fixture
def with_segments(tmp_path):
    """24 s of held-out sound; only its last 8 s have a tone of 1 kHz, in all systems.

    Its TRs are those from 100 s of the film on. The last segment has the middle STOI.
    """
    folder = write_results(tmp_path / "mine")
    rng, rate, audio = np.random.default_rng(1), 24000, folder / "audio/encodec"
    seconds = np.arange(24 * rate) / rate
    tone = 0.3 * np.sin(2000 * np.pi * seconds) * (seconds >= 16)
    for name, level in (("original", 1.0), ("codec", 0.5), ("stimulus", 0.1), ("brain", 0.01)):
        noise = rng.normal(0, 0.001, len(tone))
        soundfile.write(audio / f"{name}.wav", level * (tone + noise), rate, "FLOAT")
    stoi = (0.7, 0.9, 0.8)
    rows = [
        ("stimulus", metric.name, k, stoi[k] if metric.name == "stoi" else 0.5)
        for metric in segment_metrics()
        if metric.applies_to != SPEECH  # noise and a tone have none
        for k in range(3)
    ]
    save_table(pd.DataFrame(rows, columns=["column", "metric", "segment", "value"]),
               audio / "segments.tsv")  # fmt: skip
    start = np.r_[0:60:2.0, 100:124:2.0]
    part = np.r_[["train"] * 30, ["test"] * 12]
    attrs = {"t_r": 2.0, "encoding_mode": "codes", "codebook_size": 1024, "codec": "c"}
    attrs |= {"film": "f.mp4", "input": "0", "framing": "native", "codec_revision": "r"}
    along = {"start_time": start, "end_time": start + 2, "part": part, "run": ["1"] * 42}
    coords = {name: ("tr", values) for name, values in along.items()}
    codes = {"audio": (("tr", "row", "frame"), np.zeros((42, 1, 1), int))}
    aligned = xr.Dataset(codes, coords | {"tr": np.arange(42)}, attrs | {"bandwidth_kbps": 6.0})
    save_arrays(aligned.assign_attrs(bold_source="SIMULATED"), folder / "aligned/encodec.nc")
    return folder


def strips_of(figure):
    """Axes with spectrograms, and their titles."""
    return {axes.get_title(loc="left"): axes for axes in figure.axes if axes.get_title(loc="left")}


def ticks_of(figure):
    """Text and place in percent, as on the page."""
    axes = list(strips_of(figure).values())[-1]
    return [(label.get_text(), label.get_position()[0]) for label in axes.get_xticklabels()]


def test_the_ladder_shows_the_segment_of_median_stoi_at_its_time_in_the_film(with_segments):
    figure = giblet.results(with_segments).plot.ladder()
    assert figure.get_suptitle() == "From the sound to the brain, step by step: the median 8 s"
    strips = strips_of(figure)
    assert list(strips) == [
        "Original (the sound itself)",
        "Codec (at 6 kbit/s and back)",
        "Through the model",
        "From BOLD (simulated)",
    ]
    assert ticks_of(figure)[::4] == [("1:56", 0.0), ("2:04", 100.0)]
    for axes in strips.values():
        assert axes.get_yscale() == "log"
        levels = axes.collections[0].get_array()
        assert levels.max() == pytest.approx(0, abs=1)  # all at the level of the original
        loudest = np.argmax(levels, axis=0)
        edges = np.geomspace(80, 12000, levels.shape[0] + 1)
        assert np.all((edges[loudest] <= 1000) & (edges[loudest + 1] >= 1000))  # always the tone
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["44 %"]
    assert "shuffled BOLD" in figure.get_supxlabel()
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_ladder_is_that_of_the_page(with_segments):
    """Of `giblet.report.page`, rendered from the same files."""
    run = giblet.results(with_segments)
    settings = {"warnings": [], "has_bold": True, "config": "", "dataset": "d"}
    one = ladder_material(run, "encodec")
    page = page_of(replace(one, facts=one.facts | settings))
    assert "The median 8 s of held-out sound" in page
    ticks = re.findall(r'<span style="left: ([\d.]+)%">(\d+:\d\d)</span>', page)
    assert [(text, float(place)) for place, text in ticks[:5]] == ticks_of(run.plot.ladder())
    assert "Median segment: 16.0 to 24.0 s of held-out sound, from 1:56 of the stimulus" in page


def test_the_ladder_can_show_other_seconds(with_segments):
    plot = giblet.results(with_segments).plot
    figure = plot.ladder(begin=10, seconds=4)
    assert ticks_of(figure)[::2] == [("1:50", 0.0), ("1:54", 100.0)]
    levels = next(iter(strips_of(figure).values())).collections[0].get_array()
    assert np.ptp(levels.mean(axis=1)) < 20  # noise alone
    end = plot.ladder(begin=20)  # up to the end
    assert ticks_of(end)[::2] == [("2:00", 0.0), ("2:04", 100.0)]
    for begin, seconds in ((24, 8), (-1, 8), (3, 0)):
        with pytest.raises(GibletError, match=r"held-out sound has 0 to 24\.0 s"):
            plot.ladder(begin, seconds)


def test_without_scores_of_segments_the_ladder_shows_the_first_8_s(tmp_path):
    figure = giblet.results(write_results(tmp_path / "mine")).plot.ladder()
    assert figure.get_suptitle().endswith(": the first 8 s")
    assert ticks_of(figure)[-1] == ("0:08", 100.0)
