"""The page on the scans: numbers, the lag in words, maps. Oracles: nilearn, identities."""

import json
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from markupsafe import escape
from nilearn.maskers import NiftiLabelsMasker, NiftiMasker
from scipy.stats import false_discovery_control

from giblet.brain.nifti import brain_volume
from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import map_figures
from giblet.report.brain_maps import brain_view
from giblet.report.page import render_page
from giblet.report.scan_quality import BrainResults, brain_section
from giblet.report.sentences import lag_sentence, no_discoveries_sentence

AFFINE = np.diag([30.0, 30.0, 30.0, 1.0]) + np.pad([[-60.0], [-75.0], [-45.0]], ((0, 1), (3, 0)))
LAG = {"lag": 0.42, "lag_low": -0.1, "lag_high": 0.9, "lag_p": 0.031, "lag_reliable": 1.0}


@pytest.fixture(scope="module")
def space():
    mask = np.zeros((5, 6, 5), dtype=bool)
    mask[1:4, 1:5, 1:4] = True  # 36 voxels
    return xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs={"affine": AFFINE.ravel().tolist()})


@pytest.fixture(scope="module")
def results(space):
    """Two people: the ISC rises from voxel to voxel, sound is found in a quarter of them."""
    isc = np.arange(36) / 100
    maps = {
        "isc": (("subject", "voxel"), np.stack([isc, isc + 0.1])),
        "r_encodec": (("subject", "voxel"), np.stack([isc, isc]) / 2),
        "r_encodec_q": ("voxel", np.repeat([0.01, 0.3], [9, 27])),
        "framewise_displacement": ("subject", [0.12, 0.2]),
    }
    attrs = {"lag_applied": 0.0, "warnings": "[]"}
    quality = xr.Dataset(maps | LAG, {"subject": ["sub-01", "sub-02"]}, attrs)
    return BrainResults(quality, summary_table(quality), space)


@pytest.fixture(scope="module")
def section(results):
    return brain_section(results)


def page(results, simulated):
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    scores = pd.DataFrame([("mel", "codec", "stoi", 0.9, 0.8, 1.0, 9, 0)], columns=names)
    facts = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"warnings": [], "simulated": simulated, "has_bold": True, "config": ""}
    return render_page(scores, {}, 24000, {}, facts, results)


@pytest.mark.slow
def test_rows_are_means_over_voxels_and_people(section):
    rows = {label: cells for label, _, cells in section.rows}
    p95 = np.quantile(np.arange(36) / 100, 0.95) + 0.05
    expected = ["0.225", "0.175 to 0.275", f"{p95:.3f}", ""]
    assert rows["Inter-subject correlation"] == expected
    assert rows["Ridge r: sound (codes)"][3] == "25.0 %"
    assert rows["Framewise displacement (mm)"] == ["0.16", "0.12 to 0.20", "", ""]
    assert len(rows) == 3  # nothing of what was not measured


@pytest.mark.slow
def test_the_page_shows_them_and_says_what_is_simulated(results, section):
    html = page(results, simulated=True)
    assert section.lag in html
    for label, reading, cells in section.rows:
        assert label in html
        assert reading.replace("'", "&#39;") in html
        assert all(f"<td>{cell}</td>" in html for cell in cells)
    maps = map_figures(results, simulated=True)
    assert len(maps) == 2
    assert all(one.uri in html and str(escape(one.note)) in html for one in maps)
    assert "Inter-subject correlation (simulated)</figcaption>" in html
    assert 'id="brain"' not in page(None, simulated=False)


@pytest.mark.slow
def test_a_view_to_cut_through_needs_nothing_and_is_always_alike(section, space):
    label, html = section.view
    assert label == "Inter-subject correlation"
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", html)
    assert len(html) < 1_000_000
    affine = np.reshape(space.attrs["affine"], (4, 4))
    volume = brain_volume(np.arange(36) / 100, space)
    page = brain_view([volume, 2 * volume], affine)
    assert page == brain_view([volume, 2 * volume], affine)
    maps = json.loads(re.search(r'id="maps">(.*?)</script>', page)[1])
    assert [one["largest"] for one in maps] == pytest.approx([0.35, 0.7])
    assert maps[0]["picture"] == maps[1]["picture"]  # each in colours up to its largest value
    assert page.count(maps[0]["picture"]) == 3  # and that which is shown first


def test_lag_and_what_was_done_about_it(results):
    said = lag_sentence(results.quality)
    assert said == (
        "The scans are aligned with the film: lag 0.42 s [−0.10, 0.90] (p = 0.031 that sound and "
        "BOLD fit so well by chance, circular shifts). The scans were not shifted."
    )
    later = results.quality.assign(lag_low=0.1)
    assert lag_sentence(later).startswith("The scans are 0.42 s late: lag 0.42 s [0")
    weak = results.quality.assign(lag_reliable=0.0).assign_attrs(lag_applied=1.5)
    assert "is not reliable, do not use it: lag 0.42 s" in lag_sentence(weak)
    assert lag_sentence(weak).endswith("The scans were shifted by 1.50 s before this "
                                       "(scan.lag_seconds).")  # fmt: skip
    lowest = results.quality.assign(lag_p=0.01).assign_attrs(lag_shifts=99)
    assert "(p ≤ 0.01 that sound and BOLD fit so well by chance, 99 circular shifts)" in (
        lag_sentence(lowest)
    )


def test_a_share_of_0_is_not_read_as_nothing(results):
    def cautions(quality, summary):
        return brain_section(BrainResults(quality, summary, xr.Dataset())).cautions

    assert cautions(results.quality, results.summary) == []
    none = results.quality.assign(r_encodec_q=results.quality["r_encodec_q"] * 0 + 0.06)
    (said,) = cautions(none, results.summary)
    assert said.startswith("Low power: none of 36 voxels has q < .05 (sound (codes)), which does")
    below = results.summary.assign(mean=-results.summary["mean"])
    assert cautions(none, below) == []


def test_the_upper_bound_says_what_chance_alone_reaches(results):
    upper = results.quality.assign(ceiling_upper=results.quality["isc"])
    names = {"metric": "ceiling_upper", "mean": [0.5], "median": 0.5, "p95": 0.5, "n": 36}
    table = pd.concat([results.summary, pd.DataFrame(names)])
    readings = [r for _, r, _ in brain_section(BrainResults(upper, table, xr.Dataset())).rows]
    alone = results.quality.sizes["subject"] ** -0.5
    assert f"r with the group mean including self (1/√n = {alone:.2f} by chance)" in readings


def test_voxels_go_where_nilearn_puts_them(results, space):
    values = results.quality["isc"][0].values.astype(np.float32)
    image = nibabel.Nifti1Image(space["mask"].values.astype(np.int8), AFFINE)
    expected = NiftiMasker(image, standardize=None).fit().inverse_transform(values)
    np.testing.assert_array_equal(brain_volume(values, space), expected.get_fdata())


@pytest.mark.slow
def test_parcels_go_where_nilearn_puts_them(space):
    atlas = np.zeros((5, 6, 5), dtype=np.int16)
    atlas[1:3, 1:5, 1:4], atlas[3, 1:5, 1:4] = 2, 7
    labelled = space.assign(labels=(("i", "j", "k"), atlas)).assign_coords(parcel=[2, 7])
    masker = NiftiLabelsMasker(nibabel.Nifti1Image(atlas, AFFINE), standardize=None).fit()
    values = np.array([0.25, 0.5], dtype=np.float32)
    expected = masker.inverse_transform(values).get_fdata()
    np.testing.assert_array_equal(brain_volume(values, labelled), expected)


def test_no_places_no_maps(results):
    nowhere = BrainResults(results.quality, results.summary, xr.Dataset())
    assert map_figures(nowhere, simulated=False) == []
    html = page(nowhere, simulated=False)
    assert "No maps: the coordinates of the parcels are unknown." in html
    assert 'id="brain"' in html
    assert "imulated" not in html


@pytest.mark.slow
def test_a_map_is_drawn_in_the_pages_ink_and_always_alike(results):
    uri = map_figures(results, simulated=False)[0].uri
    svg = unquote(uri.split(",", 1)[1])
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert "var(--ink)" in svg
    assert "stroke: #000000" not in svg
    assert len(uri) < 100_000
    assert map_figures(results, simulated=False)[0].uri == uri


@pytest.mark.slow
@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_nothing_above_zero_is_no_map_and_no_warning(results):
    """nilearn warns of an empty mask when it is given nothing to draw."""
    isc, r = results.quality["isc"], results.quality["r_encodec"]
    one = BrainResults(results.quality.assign(isc=-isc), results.summary, results.space)
    some, titles = brain_section(one), [map.title for map in map_figures(one, simulated=False)]
    assert titles == [some.view[0]] == ["Ridge r: sound (codes)"]
    assert some.no_maps == ["Inter-subject correlation: no value above 0"]
    quality = results.quality.assign(isc=isc * np.nan, r_encodec=-r)
    html = page(BrainResults(quality, results.summary, results.space), simulated=False)
    assert "Inter-subject correlation: no values; Ridge r: sound (codes): no" in html
    assert 'alt="Map of the brain' not in html
    assert "are unknown" not in html


@pytest.mark.parametrize(("n_tested", "n_shifts"), [(3666, 5000), (36, 5000), (400, 99)])
def test_the_lowest_q_is_that_of_benjamini_and_hochberg(n_tested, n_shifts):
    """Oracle: SciPy's adjusted p of as many voxels at the lowest p as the sentence asks for."""
    said = no_discoveries_sentence(["sound"], "voxels", n_tested, n_shifts)
    needed = re.search(r"q < .05 needs (\d+) of them", said)
    n_needed = int(needed[1]) if needed else 1

    def lowest_q(n_lowest):
        p = np.r_[np.full(n_lowest, 1 / (1 + n_shifts)), np.ones(n_tested - n_lowest)]
        return false_discovery_control(p).min()

    printed = float(re.search(r"has q = ([\d.]+\d)", said)[1])
    assert printed == pytest.approx(lowest_q(1), abs=0.005)
    assert lowest_q(n_needed) < 0.05
    assert n_needed == 1 or lowest_q(n_needed - 1) >= 0.05
