"""Missing values of confounds: filled where fMRIPrep leaves them out, else refused by name."""

from pathlib import Path

import numpy as np
import pytest

from giblet.brain.confounds import fill_leading
from giblet.errors import GibletError

TABLE = Path("confounds.tsv")


def test_first_rows_are_filled_from_below():
    values = np.array([[np.nan, np.nan, 1], [2, np.nan, 1], [3, 4, 1], [5, 6, 1]])
    filled = fill_leading(values, TABLE, ["a", "b", "c"])
    np.testing.assert_array_equal(filled, [[2, 4, 1], [2, 4, 1], [3, 4, 1], [5, 6, 1]])
    assert np.isnan(values[0, 0]), "the argument is not changed"
    assert fill_leading(np.empty((3, 0)), TABLE, []).shape == (3, 0)


@pytest.mark.parametrize("rows", [[3], [0, 3], [0, 1, 2], [4], range(5)])
def test_other_missing_values_are_named(rows):
    for bad in (np.nan, np.inf):
        values = np.ones((5, 2))
        values[list(rows), 1] = bad
        with pytest.raises(GibletError, match=r"confounds.tsv: n/a .* column csf, (every|\d of 5)"):
            fill_leading(values, TABLE, ["white_matter", "csf"])
