"""Arrays of any shape and dtype: each passes and is what it claims to be, or is refused clearly."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

from giblet.io.validation import check_codes, check_features, check_waveform

settings.register_profile("giblet", deadline=None, derandomize=True)
settings.load_profile("giblet")

DTYPES = st.one_of(
    npst.integer_dtypes(),
    npst.unsigned_integer_dtypes(),
    npst.floating_dtypes(),
    npst.complex_number_dtypes(),
    npst.boolean_dtypes(),
    npst.unicode_string_dtypes(max_len=4),
    npst.byte_string_dtypes(max_len=4),
    npst.datetime64_dtypes(),
    npst.timedelta64_dtypes(),
    npst.array_dtypes(),  # several fields
)
SHAPES = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
SMALL_SHAPES = npst.array_shapes(min_dims=1, max_dims=3, max_side=3)
NEAR_CODES = npst.arrays(npst.integer_dtypes(), SMALL_SHAPES, elements=st.integers(-2, 9))
NEAR_SOUND = npst.arrays(
    npst.floating_dtypes(), SMALL_SHAPES, elements=st.sampled_from([0.0, -1.5, np.inf, np.nan])
)
ANY_ARRAY = DTYPES.flatmap(lambda dtype: npst.arrays(dtype, SHAPES))


def passes(check, values, *rest):
    """Whether ``values`` pass; what is refused, is refused in one line."""
    try:
        passed, refusal = check(values, *rest), ""
    except (TypeError, ValueError) as error:
        passed, refusal = None, str(error)
    assert passed is values or (" must " in refusal or "NaN" in refusal) * ("\n" not in refusal)
    return not refusal


@pytest.mark.parametrize("arrays", [ANY_ARRAY, NEAR_CODES], ids=["any", "near"])
@given(st.data(), st.none() | st.integers(1, 3), st.integers(1, 9))
def test_any_array_is_codes_or_refused(arrays, data, n_codebooks, codebook_size):
    values = data.draw(arrays)
    is_codes = (
        values.dtype.kind in "iu"
        and values.ndim >= 2
        and n_codebooks in (None, values.shape[-2])
        and all(-1 <= code < codebook_size for code in values.ravel().tolist())
    )
    assert passes(check_codes, values, n_codebooks, codebook_size) == is_codes


@pytest.mark.parametrize("arrays", [ANY_ARRAY, NEAR_SOUND], ids=["any", "near"])
@given(st.data())
def test_any_array_is_amounts_or_refused(arrays, data):
    values = data.draw(arrays)
    is_amounts = values.dtype.kind == "f" and np.isfinite(values).all()
    assert passes(check_features, values) == is_amounts


@pytest.mark.parametrize("arrays", [ANY_ARRAY, NEAR_SOUND], ids=["any", "near"])
@given(st.data())
def test_any_array_is_a_waveform_or_refused(arrays, data):
    values = data.draw(arrays)
    is_sound = values.dtype.kind == "f" and values.ndim == 1 and values.size > 0
    assert passes(check_waveform, values) == (is_sound and np.isfinite(values).all())


@pytest.mark.parametrize("check", [check_codes, check_features, check_waveform])
@given(values=st.none() | st.text() | st.binary() | st.dictionaries(st.text(), st.integers()))
def test_what_is_no_array_is_refused(check, values):
    assert not passes(check, values)
