"""dtype is meaning: labels and amounts are not taken for each other, and NaN is found."""

import numpy as np
import pytest

from giblet.errors import nearest_name
from giblet.io.validation import check_codes, check_features, check_waveform

CODES = np.arange(8 * 112, dtype=np.int32).reshape(1, 8, 112)


def test_codes_pass_unchanged():
    assert check_codes(CODES, n_codebooks=8) is CODES


@pytest.mark.parametrize("edge", [-1, 0, 1023])
def test_codes_reach_from_no_frame_to_the_last_code(edge):
    check_codes(np.full((8, 3), edge), n_codebooks=8)


@pytest.mark.parametrize("beyond", [-2, 1024])
def test_codes_out_of_range_are_refused(beyond):
    codes = CODES.copy()
    codes[0, 3, 5] = beyond
    with pytest.raises(ValueError, match=rf"\[0, 1023\].*{beyond}"):
        check_codes(codes)


def test_a_smaller_codebook_has_a_smaller_range():
    with pytest.raises(ValueError, match=r"\[0, 511\]"):
        check_codes(CODES, codebook_size=512)


@pytest.mark.parametrize("shape", [(112,), (3, 4, 112), (8,)])
def test_codes_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 8, n_frames\)"):
        check_codes(np.zeros(shape, dtype=int), n_codebooks=8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, bool])
def test_codes_are_integers(dtype):
    with pytest.raises(TypeError, match="a code is a label"):
        check_codes(CODES.astype(dtype))


def test_no_codes_at_all_are_codes():
    assert check_codes(np.zeros((8, 0), dtype=int)).shape == (8, 0)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool])
def test_labels_are_no_amounts(dtype):
    with pytest.raises(TypeError, match="Dequantise the codes first"):
        check_features(np.zeros((4, 2), dtype=dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_first_bad_amount_is_located(bad, rng):
    features = rng.standard_normal((10, 3)).astype(np.float32)
    assert check_features(features) is features
    features[7, 1] = features[8, 0] = bad
    with pytest.raises(ValueError, match=r"bold has 2 NaN or infinite values.*\(7, 1\)"):
        check_features(features, "bold")


def test_a_waveform_is_finite_floats_in_a_row(rng):
    waveform = rng.uniform(-1, 1, 100).astype(np.float32)
    assert check_waveform(waveform) is waveform
    with pytest.raises(TypeError, match="float"):
        check_waveform((waveform * 32767).astype(np.int16))
    with pytest.raises(ValueError, match=r"shape \(n_samples,\)"):
        check_waveform(waveform[None])
    with pytest.raises(ValueError, match="n_samples"):
        check_waveform(waveform[:0])
    with pytest.raises(ValueError, match="1 NaN"):
        check_waveform(np.append(waveform, np.float32(np.nan)))


def test_a_name_far_from_all_is_not_guessed():
    assert nearest_name("xyzzy", ["t_r", "bandwidth_kbps"]) == ""
    assert nearest_name("tr", ["t_r", "film"]) == "; did you mean t_r?"


def test_masked_values_are_not_read(rng):
    """Under a mask there may be any number: 1e20, the fill value, or what was measured."""
    values = rng.uniform(-1, 1, (8, 8))
    for check, array in ((check_features, values), (check_waveform, values[0])):
        assert check(np.ma.array(array)) is not None
        with pytest.raises(ValueError, match="has 1 masked values"):
            check(np.ma.array(array, mask=array == array.max()))
    codes = np.arange(4)[None]
    with pytest.raises(ValueError, match="codes has 2 masked values"):
        check_codes(np.ma.array(codes, mask=codes > 1))
