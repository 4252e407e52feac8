"""Several mistakes as one error: the line for the user, and which one is raised."""

import pytest

from giblet.errors import GibletError, Mistakes, raise_together
from giblet.io.checksums import Damaged, damaged


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["a: cut.", "b"], "a: cut (and 1 more mistake: giblet doctor lists them)"),
        (["a", "b", "c", "d"], "a (and 3 more mistakes: giblet doctor lists them)"),
    ],
)
def test_the_first_line_and_how_many_more(lines, wanted):
    with pytest.raises(Mistakes) as caught:
        raise_together(map(GibletError, lines))
    assert str(caught.value) == wanted
    assert caught.value.lines == lines


def test_a_damaged_result_is_raised_first_for_the_command_to_set_aside():
    with pytest.raises(Damaged) as caught:
        raise_together([GibletError("a"), damaged("b.nc"), GibletError("c")])
    assert str(caught.value.whole) == "b.nc"
