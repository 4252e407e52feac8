"""Figures for print: their size, their letters, their numbers, and the page's links to them."""

import gc
import re
import weakref
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from music.pieces import broken_chords
from nilearn.plotting import glass_brain
from nilearn.plotting.displays import _axes
from test_anchored_prior import table as prior_table
from test_calibration import calibration_table
from test_level_figure import level_table
from test_searchlight import searchlight_table

from giblet.evaluation.permuted_clips import null_rows, null_table
from giblet.evaluation.quality import summary_table
from giblet.report import brain_maps, pictures
from giblet.report.brain_figures import (
    map_figure,
    map_note,
    motion_figure,
    read_figure,
    subject_figure,
)
from giblet.report.brain_maps import quick_collections
from giblet.report.embedded_fonts import fonts_subset_once
from giblet.report.extras import Extras, MusicResults
from giblet.report.figure_table import FIGURES, pictures_of
from giblet.report.lag_figure import lag_figure
from giblet.report.material import Material
from giblet.report.page import page_of
from giblet.report.pictures import CAPTIONS, Picture, ink, pictures_saved, save_pictures
from giblet.report.read_voxels import ReadVoxels
from giblet.report.scan_quality import BrainResults

HOSTILE = "<img src=x onerror=alert(1)>\u202egnp.\u05d0" + "long" * 45
NAMES = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
RATE = 8000
KEY = "brain", "identification_sound_10way"


def line_picture(name="a_line"):
    table = pd.DataFrame({"x": [0.0, 1.0], "y": [1.0, 1 / 3]})

    def draw(axes):
        axes.plot(table["x"], table["y"], color=ink())
        axes.set_xlabel("seconds")

    return Picture(name, "A line", draw, (4.4, 2.2), table, "n = 2.")


def brain(n_subjects=2, q=0.2):
    """ISC that rises from voxel to voxel; each scan has its motion."""
    mask = np.zeros((5, 6, 5), dtype=bool)
    mask[1:4, 1:5, 1:4] = True  # 36 voxels
    names = [f"sub-{k}{HOSTILE}" for k in range(n_subjects)]
    isc = (("subject", "voxel"), np.arange(36) / 100 + 0.1 * np.arange(n_subjects)[:, None])
    r = (("subject", "voxel"), 2 * isc[1])
    maps = {"isc": isc, "r_mel": r, "r_mel_q": ("voxel", np.repeat([q, 0.3], [9, 27]))}
    coords = {axis: ("voxel", np.argwhere(mask)[:, k] * 30.0) for k, axis in enumerate("xyz")}
    quality = xr.Dataset(maps, coords | {"subject": names}, {"warnings": "[]"})
    affine = [30.0, 0, 0, -60, 0, 30, 0, -75, 0, 0, 30, -45, 0, 0, 0, 1]
    moved = np.r_[np.nan, 0.2, 0.4]
    volumes = {
        "subject": ("volume", np.repeat(names, 3)),
        "run": ("volume", ["run-1"] * 3 * n_subjects),
        "framewise_displacement": ("volume", np.tile(moved, n_subjects)),
    }
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)} | volumes, attrs={"affine": affine})
    return BrainResults(quality, summary_table(quality), space)


def optional_tables():
    """Of rules that only some people run; regions, subjects and banks have hostile names."""
    levels, places, new = level_table(), searchlight_table(), calibration_table()
    bank = prior_table((0.5, 0.4, 0.3), (0, 0.1, 0.35), (0.001, 0.001, 0.001))
    return {
        "levels": levels.replace({"region": {levels["region"].iloc[-1]: HOSTILE}}),
        "searchlight": places.replace({"place": {"auditory": HOSTILE}}),
        "calibration": new.replace({"subject": {"sub-01": HOSTILE}}),
        "prior": bank.assign(bank=HOSTILE),
    }


def music_results():
    """Four seconds of notes, and silence for the players."""
    columns = ("original", "score_latent", "score_brain")
    notes = {column: broken_chords(k, n_bars=2) for k, column in enumerate(columns)}
    sounds = {column: np.zeros(4 * RATE, np.float32) for column in columns}
    row = ("score_brain", "", "note_f1", 0.25, 0.2, 0.3, 12, 0, np.nan, 0.01, "mel")
    names = ["column", "level", *NAMES[2:], "chance", "p", "path"]
    return MusicResults(notes, sounds, RATE, pd.DataFrame([row], columns=names))


def material(has_brain=True, n_subjects=2, words=True):
    """3 s of tones, hostile names everywhere."""
    times = np.arange(3 * RATE) / RATE
    columns = ["original", "codec", "stimulus"] + ["brain"] * has_brain
    sounds = {c: 0.1 * np.sin(2 * np.pi * (300 + 50 * k) * times) for k, c in enumerate(columns)}
    scores = pd.DataFrame(
        [("mel", c, "stoi", 0.8, 0.7, 0.9, 3, 0) for c in columns[1:]], columns=NAMES
    )
    facts = {"dataset": HOSTILE, "film": HOSTILE, "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"simulated": False, "has_bold": has_brain, "warnings": [HOSTILE], "config": HOSTILE}
    facts |= {"subjects": [f"sub-{k}{HOSTILE}" for k in range(n_subjects * has_brain)]}
    timeline = pd.DataFrame({"start": [0.0, 1.5], "end": [1.5, 3.0], "part": ["train", "test"]})
    timeline["run"] = [HOSTILE, "b"]
    if words:
        timeline["words"] = [1.0, 2.0]
    regions = pd.DataFrame({"Region": [HOSTILE, "other"], "Inter-subject correlation": [0.2, 0.1]})
    history = {"mel": pd.DataFrame({"epoch": [0, 1], "train/audio": [1.0, 0.8]})}
    extras = Extras(timeline=timeline, figures="figures")
    if has_brain:
        extras = replace(extras, regions=regions, music=music_results(), **optional_tables())
        facts["voxels_read"] = ReadVoxels(np.arange(9), "voxels", 36, 36, f"region {HOSTILE}")
    results = brain(n_subjects) if has_brain else None
    return Material(scores, {"mel": sounds}, RATE, history, facts, results, extras)


def test_a_figure_has_the_width_and_the_letters_of_print(tmp_path):
    save_pictures([line_picture()], tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        *(f"a_line_{mm}mm.{kind}" for mm in (89, 183) for kind in ("svg", "pdf")),
        *("a_line.csv", CAPTIONS),
    }
    for mm, points in ((89, 7), (183, 8)):
        svg = (tmp_path / f"a_line_{mm}mm.svg").read_text()
        width = float(re.search(r'width="([\d.]+)pt"', svg)[1])
        assert width / 72 * 25.4 == pytest.approx(mm, abs=0.01)
        assert set(re.findall(r"font-size: (\d+)px", svg)) == {str(points)}
        assert "123456" not in svg  # the page's ink
        pdf = (tmp_path / f"a_line_{mm}mm.pdf").read_bytes()
        box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+)", pdf)[1]
        assert float(box) / 72 * 25.4 == pytest.approx(mm, abs=0.01)
        assert b"CreationDate" not in pdf
    numbers = pd.read_csv(tmp_path / "a_line.csv")
    np.testing.assert_allclose(numbers["y"], [1, 1 / 3], rtol=1e-5)
    assert "- **a_line**: A line. n = 2." in (tmp_path / CAPTIONS).read_text()


def test_a_map_that_is_drawn_once_is_at_both_widths_what_it_is_drawn_for_each(
    tmp_path, monkeypatch
):
    """The second width is the first one enlarged; drawn alone, nothing is enlarged."""
    picture = map_figure(brain(q=0.01), "r_mel", simulated=False)
    assert picture.keeps_shape
    widths = dict(pictures.PRINT_POINTS)
    folders = [tmp_path / name for name in ("both", *map(str, widths))]
    for folder, shown in zip(folders, [widths, *({w: widths[w]} for w in widths)], strict=True):
        folder.mkdir()
        monkeypatch.setattr(pictures, "PRINT_POINTS", shown)
        picture.save(folder)
    together, *alone = ({f.name: f.read_bytes() for f in one.iterdir()} for one in folders)
    assert together == alone[0] | alone[1]
    sizes = [set(re.findall(rb"font-size: ([\d.]+)px", together[f"map_r_mel_{w}mm.svg"]))
             for w in widths]  # fmt: skip
    assert [{round(float(s), 2) for s in one} for one in sizes] == [{7, 5.83}, {8, 6.66}]


def test_nilearn_collects_only_the_garbage_of_its_own_images():
    """A list in a cycle that was dropped before a block of it outlives it, one of the block not."""

    class Marked(list):
        pass

    def dropped():
        one = Marked()
        one.append(one)
        return weakref.ref(one)

    gc.collect()
    gc.disable()
    try:
        before = dropped()
        with quick_collections():
            inside = dropped()
            gc.collect()
            assert before() is not None
            assert inside() is None
        gc.collect()
        assert before() is None
    finally:
        gc.enable()


def test_the_same_figure_gives_the_same_bytes(tmp_path):
    written = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        line_picture().save(folder)
        written.append([file.read_bytes() for file in sorted(folder.iterdir())])
    assert written[0] == written[1]


def test_a_map_states_its_range_its_threshold_and_its_error_rate():
    results = brain(q=0.01)
    assert "Outlined: 9 voxels at q < 0.05 (false discovery rate over 36 voxels)." in map_note(
        results, "r_mel", 0.5, is_shared=True
    )
    assert "colour from 0 to 0.500, the range of all maps of r;" in map_note(
        results, "r_mel", 0.5, True
    )
    assert "No voxel at q < 0.05" in map_note(brain(), "r_mel", 0.5, True)
    assert "Not tested" in map_note(results, "isc", 0.5, False)
    assert map_note(brain(1), "isc", 0.5, False).startswith("One subject;")
    table = map_figure(results, "r_mel", simulated=True).table
    assert list(table) == ["x", "y", "z", "r_mel", "q"]
    np.testing.assert_allclose(table["r_mel"], 2 * (np.arange(36) / 100 + 0.05))


def test_the_voxels_that_were_read_are_those_of_the_model():
    read = ReadVoxels(np.array([3, 5]), "voxels", 36, 36, "these two")
    picture = read_figure(brain(), read, simulated=False)
    assert np.flatnonzero(picture.table["read"]).tolist() == [3, 5]
    assert picture.note == "2 of 36 voxels. The decoder reads these two."
    every = replace(read, columns=np.arange(36))
    assert read_figure(brain(), every, simulated=False) is None


def test_every_subject_has_a_dot_and_every_scan_a_row_of_motion():
    results = brain(3)
    subjects = subject_figure(results, simulated=False).table
    assert len(subjects) == 2 * 3
    by_metric = subjects.groupby("metric")["mean"].apply(list)
    np.testing.assert_allclose(by_metric["isc"], [0.175, 0.275, 0.375])
    motion = motion_figure(results, simulated=False).table
    assert motion["volume"].tolist() == 3 * [0, 1, 2]
    assert motion["fd_mm"].isna().sum() == 3
    still = results.space.assign(framewise_displacement=("volume", np.full(9, np.nan)))
    assert motion_figure(BrainResults(results.quality, results.summary, still), False) is None


def test_the_alignment_shows_what_was_compared_and_nothing_where_nothing_was():
    times, lags = np.arange(20.0), np.arange(-2.0, 3.0)
    sound = np.sin(times)
    quality = xr.Dataset(
        {"lag_fit": ("lag_shift", -(lags**2)), "lag_sound": ("lag_time", sound)}
        | {"lag_bold": ("lag_time", -sound), "lag": 0.1, "lag_low": -0.2, "lag_high": 0.4},
        {"lag_shift": lags, "lag_time": times},
    )
    picture = lag_figure(quality, simulated=True)
    assert "r = -1.00" in picture.note
    assert picture.title.endswith("(simulated)")
    np.testing.assert_allclose(picture.table["sound"].dropna(), sound)
    assert ElementTree.fromstring(unquote(picture.uri.split(",", 1)[1])).tag
    assert lag_figure(quality[["lag"]], simulated=False) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"has_brain": False}, {"words": False}, {"n_subjects": 1}], ids=str
)
def test_a_page_with_hostile_names_is_complete_and_its_links_lead_to_files(tmp_path, options):
    """Markup, right-to-left marks and 200 characters in every name that a person can choose."""
    one = material(**options)
    html = page_of(one)
    assert "<img src=x" not in html
    assert "&lt;img src=x" in html
    pictures = pictures_of(one)
    save_pictures(pictures, tmp_path)
    written = {file.name for file in tmp_path.iterdir()}
    links = set(re.findall(r'href="figures/([^"]+)"', html))
    assert links == written
    names = [picture.name for picture in pictures]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"\w+", name) for name in names)
    has_brain = options.get("has_brain", True)
    assert any(name.startswith("map_") for name in names) == has_brain
    assert ("motion" in names) == ("piano_rolls" in names) == has_brain
    for svg in tmp_path.glob("*.svg"):
        ElementTree.parse(svg)
        assert "<img" not in svg.read_text()
    if not options.get("words", True):
        assert ">words<" not in (tmp_path / "timeline_89mm.svg").read_text()


def test_every_figure_of_the_list_is_on_the_page(monkeypatch):
    """Those that a section draws itself, and those of optional rules, have tests of their own."""
    own = ("ladder", "levels", "calibration", "anchored_prior", "searchlight")
    names = [name for name in FIGURES if name not in own]
    for name in names:
        monkeypatch.setitem(FIGURES, name, lambda _, name=name: [line_picture(name)])
    one = material()
    nulls = null_table("mel", list(null_rows({KEY: np.ones((1, 1))}, {KEY: np.zeros(9)})))
    one = replace(one, extras=replace(one.extras, permutations=nulls))
    html = page_of(one)
    assert [name for name in names if f"figures/{name}_89mm.svg" not in html] == []


def test_without_a_folder_there_are_no_links():
    one = material(has_brain=False)
    bare = Material(one.scores, one.sounds, RATE, one.history, one.facts)
    assert "figures/" not in page_of(bare)


def test_outlines_that_are_made_once_are_those_of_nilearn(monkeypatch):
    picture = map_figure(brain(), "r_mel", simulated=False)
    joined = [replace(picture).uri for _ in range(2)]  # the second from what the first has made
    monkeypatch.setattr(brain_maps, "outlines_made_once", nullcontext)
    by_nilearn = replace(picture).uri
    assert by_nilearn.count("M ") > 100
    assert joined == [by_nilearn] * 2
    assert glass_brain.plot_brain_schematics is _axes.plot_brain_schematics


@pytest.mark.slow
def test_files_of_figures_have_the_same_bytes_from_one_process_and_from_two(tmp_path):
    """The page's drawings stay where they are: both use the same pictures."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    pictures = pictures_of(material())
    save_pictures(pictures, tmp_path / "one")
    with pictures_saved(pictures, tmp_path / "two", 2):
        on_page = [picture.uri for picture in pictures]
    assert [picture.uri for picture in pictures] == on_page
    names = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert len(names) > 50
    assert names == sorted(file.name for file in (tmp_path / "two").iterdir())
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_page_is_one_of_the_jobs_and_its_process_saves_the_rest(tmp_path, monkeypatch):
    """Of three jobs two are other processes; these here draw one picture and begin no other."""
    asked, pictures = [], pictures_of(material(has_brain=False))
    assert len(pictures) > 2

    class Busy:
        def submit(self, save, folder):
            future = Future()
            if len(asked) == 1:  # the first has begun, and is done
                future.set_running_or_notify_cancel()
                with fonts_subset_once():
                    save(folder)
                future.set_result(None)
            asked.append(save.__self__.name)
            return future

    @contextmanager
    def workers(n, *_):
        asked.append(n)
        yield Busy()

    monkeypatch.setattr("giblet.report.pictures.worker_processes", workers)
    (tmp_path / "one").mkdir()
    (tmp_path / "three").mkdir()
    with pictures_saved(pictures, tmp_path / "three", 3):
        names = sorted(file.name for file in (tmp_path / "three").iterdir())
        assert names == sorted(name for name, _ in pictures[0].files)
    save_pictures(pictures, tmp_path / "one")
    assert asked == [2, *(picture.name for picture in pictures)]
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "three" / file.name).read_bytes()


def test_a_figure_that_another_process_cannot_write_is_the_error_of_the_caller(tmp_path):
    (one, *_) = pictures_of(material(has_brain=False))
    with (
        pytest.raises(FileNotFoundError, match=f"{one.name}_89mm.svg"),
        pictures_saved([one], tmp_path / "missing", 2),
    ):
        pass
