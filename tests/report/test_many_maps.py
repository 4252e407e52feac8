"""A page with thirty maps: the main ones are drawn, the others named, and it stays small."""

import re

import nibabel
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from nibabel.affines import apply_affine
from nilearn.datasets import load_mni152_brain_mask
from nilearn.image import resample_to_img

from giblet.evaluation.quality import summary_table
from giblet.report.brain_figures import map_figures
from giblet.report.extras import Extras
from giblet.report.page import render_page
from giblet.report.projected_maps import projected_figures
from giblet.report.scan_quality import MEASURES, MOST_MAPS, BrainResults, drawn_maps, main_maps

LAYERS = [
    *(f"sound_model_layer_{n}" for n in range(12)),
    *(f"word_model_layer_{n}" for n in range(12)),
]
MAIN = ["encodec", "video", "text", "n_words", "all"]
LAG = {"lag": 0.0, "lag_low": -0.1, "lag_high": 0.1, "lag_p": 0.01, "lag_reliable": 1.0}


@pytest.fixture(scope="module")
def brain():
    """ISC and 29 r in 4,000 voxels, as the demo has; names come in a wrong order."""
    affine = np.diag([8.0, 8.0, 8.0, 1.0])
    affine[:3, 3] = -98, -134, -72
    grid = nibabel.Nifti1Image(np.zeros((25, 30, 24), np.int8), affine)
    mask = resample_to_img(load_mni152_brain_mask(), grid, "nearest").get_fdata() > 0
    x, y, z = apply_affine(affine, np.argwhere(mask)).T
    rng = np.random.default_rng(0)
    maps = {}
    for n, name in enumerate([*LAYERS, *MAIN]):
        near = np.exp(-((abs(x) - 55) ** 2 + (y + 20 + n) ** 2 + (z - 5) ** 2) / 600)
        maps[f"r_{name}"] = 0.4 * near + 0.02 * rng.standard_normal(len(x))
    maps["isc"] = 0.3 + 0.05 * rng.standard_normal(len(x))
    attrs = {"affine": affine.ravel().tolist(), "space": "MNI152NLin2009cAsym"}
    space = xr.Dataset({"mask": (("i", "j", "k"), mask)}, attrs=attrs)
    columns = {name: (("subject", "voxel"), values[None]) for name, values in maps.items()}
    quality = xr.Dataset(
        columns | LAG,
        {"subject": ["sub-01"]},
        {"lag_applied": 0.0, "lag_note": "", "warnings": "[]"},
    )
    return BrainResults(quality, summary_table(quality), space)


def test_the_main_maps_come_first(brain):
    assert len(drawn_maps(brain)) == 30
    layers = ["r_sound_model_layer_0", "r_sound_model_layer_1"]
    assert main_maps(brain) == ["isc", *(f"r_{name}" for name in MAIN), *layers]
    assert MOST_MAPS == 8


def test_all_are_files_and_views_of_the_cortex_are_of_the_main_ones(brain):
    names = [picture.name for picture in map_figures(brain, simulated=False)]
    assert names == [f"map_{name}" for name in drawn_maps(brain)]
    views = [picture.name for picture in projected_figures(brain, simulated=False)]
    assert views == [f"surface_{name}" for name in main_maps(brain)]


@pytest.fixture(scope="module")
def html(brain):
    names = ["path", "column", "metric", "value", "low", "high", "n", "n_failed"]
    scores = pd.DataFrame([("encodec", "codec", "stoi", 0.9, 0.8, 1.0, 9, 0)], columns=names)
    facts = {"dataset": "d", "film": "f", "codec": "c", "bandwidth_kbps": 6.0, "t_r": 1.5}
    facts |= {"warnings": [], "simulated": False, "has_bold": True, "config": ""}
    return render_page(scores, {}, 24000, {}, facts, brain, Extras(figures="figures"))


@pytest.mark.slow
def test_the_page_draws_eight_and_names_the_others(html, brain):
    section = html.partition('<section aria-labelledby="brain"')[2]
    shown = re.findall("<figcaption>([^<]*)</figcaption><img", section)
    main = [MEASURES[name][0] for name in main_maps(brain)]
    assert [one for one in shown if one in main] == main
    assert sum("projected to the surface" in one for one in shown) == 8
    assert sum("axial slices" in one for one in shown) == 1
    assert re.findall("<option>([^<]*)", section) == main
    further = [MEASURES[name][0] for name in drawn_maps(brain)[8:]]
    line = f'22 further maps are in <a href="figures">figures</a> only: {"; ".join(further)}.'
    assert line in section


@pytest.mark.slow
def test_thirty_maps_take_less_than_two_megabytes(html):
    """The demo's page has 10.9 MB with six maps, which take 0.9 MB; at most 12 are wanted."""
    assert len(html) < 2e6
