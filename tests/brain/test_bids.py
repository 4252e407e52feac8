"""Head motion is found in fMRIPrep's tables, and nowhere else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from giblet.brain.runs import MOTION, displacement
from giblet.errors import GibletError

TABLE = Path("confounds.tsv")


def test_displacement_by_hand():
    """1 mm, then 0.02 radians on a sphere of 50 mm; n/a where a step is unknown."""
    table = pd.DataFrame(0.0, index=range(5), columns=["csf", *MOTION])
    table.loc[1:, "trans_z"] = 1.0
    table.loc[2:, "rot_x"] = -0.02
    table["trans_x"] = ["0", "0", "0", "n/a", "0"]
    expected = [np.nan, 1.0, 1.0, np.nan, np.nan]
    np.testing.assert_allclose(displacement(table, TABLE), expected)


def test_unknown_without_all_six():
    table = pd.DataFrame(0.0, index=range(3), columns=list(MOTION[:5]))
    assert np.isnan(displacement(table, TABLE)).tolist() == [True] * 3


def test_degrees_are_refused():
    table = pd.DataFrame(3.0, index=range(3), columns=list(MOTION))
    with pytest.raises(GibletError, match=r"confounds.tsv: .*must be radians"):
        displacement(table, TABLE)
