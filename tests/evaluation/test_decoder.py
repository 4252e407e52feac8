"""`Decoder` decodes what the pipeline does."""

import numpy as np
import pytest

from giblet.config.sections import DecodingConfig
from giblet.evaluation.decoder import Decoder
from giblet.evaluation.decoding import decode_subject, lags_in_trs

T_R = 1.5
RNG = np.random.default_rng(0)
BOLD, CODE = RNG.standard_normal((90, 12)), RNG.standard_normal((90, 4))
RUNS, TRAIN, TEST = np.repeat(["a", "b"], 45), np.arange(50), np.arange(60, 90)


def test_it_is_the_decoder_of_the_pipeline():
    decoding = DecodingConfig()
    lags = lags_in_trs(T_R, decoding)
    expected = decode_subject(BOLD, RUNS, CODE, TRAIN, TEST, lags)["brain"]
    decoder = Decoder.fit(BOLD, CODE, T_R, RUNS, TRAIN)
    np.testing.assert_allclose(decoder.decode(BOLD, RUNS, TEST), expected, rtol=1e-5)
    np.testing.assert_allclose(decoder.decode(BOLD, RUNS)[TEST], expected, rtol=1e-5)
    assert decoder.lags == lags


def test_other_lags():
    decoding = DecodingConfig(first_lag_seconds=3.0, last_lag_seconds=3.0)
    decoder = Decoder.fit(BOLD, CODE, T_R, decoding=decoding)
    assert list(decoder.lags) == [2]
    assert repr(decoder) == "Decoder(12 voxels at 1 lags → 4 features)"


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: Decoder.fit(BOLD[0], CODE, T_R), r"bold must be \(n_trs, n_voxels\)"),
        (lambda: Decoder.fit(BOLD, CODE[:9], T_R), r"bottleneck must be \(90, bottleneck_dim\)"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, RUNS[:9]), r"runs must be \(90,\)"),
        (lambda: Decoder.fit(BOLD, CODE, T_R).decode(BOLD[:, 1:]), "11 voxels, the decoder reads"),
    ],
)
def test_other_shapes_are_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()
