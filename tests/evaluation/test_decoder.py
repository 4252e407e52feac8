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
        (lambda: Decoder.fit(1000 + BOLD, CODE, T_R), "z-score each run"),
        (lambda: Decoder.fit(BOLD, CODE, T_R).decode(1000 + BOLD), "z-score each run"),
        (lambda: Decoder.fit(np.nan * BOLD, CODE, T_R), "no value but NaN"),
        (lambda: Decoder.fit(np.where(BOLD > 2, np.inf, BOLD), CODE, T_R), "infinite values"),
        (lambda: Decoder.fit(BOLD, np.where(CODE > 2, np.nan, CODE), T_R), "bottleneck has"),
        (lambda: Decoder.fit(BOLD, CODE.astype(str), T_R), "not .90, 4. <U"),
        (lambda: Decoder.fit(BOLD, CODE, 1500), "milliseconds"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=[3]), "1 TRs are too few"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=[]), "0 TRs are too few"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=[0, 90]), "from 0 to 89.* from 0 to 90"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=[-1, 4]), "from -1 to 4"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=np.isin(np.arange(90), TRAIN) * 1), "be bool"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=[3, 4, 4]), "more than once: 2 differ$"),
        (lambda: Decoder.fit(BOLD, np.ma.array(CODE, mask=CODE > 1), T_R), "NaN"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=TRAIN * 1.0), "indices from 0 to 89"),
        (lambda: Decoder.fit(BOLD, CODE, T_R, trs=np.ones(9, bool)), r"mask \(90,\) bool"),
    ],
)
def test_other_shapes_are_refused(ask, said):
    with pytest.raises(ValueError, match=said):
        ask()


def test_of_few_scanned_trs_the_mean_says_nothing():
    few = np.where(np.isin(np.arange(len(BOLD)), (40, 41))[:, None], BOLD + 9, np.nan)
    decoded = Decoder.fit(BOLD, CODE, T_R).decode(few)
    assert np.isfinite(decoded).all()


def test_trs_in_every_form():
    expected = Decoder.fit(BOLD, CODE, T_R, RUNS, TRAIN).decode(BOLD, RUNS, TEST)
    mask = np.arange(90) < 50
    for trs in (slice(0, 50), range(50), mask, mask.tolist(), TRAIN.tolist()):
        decoder = Decoder.fit(BOLD, CODE, T_R, RUNS, trs)
        np.testing.assert_allclose(decoder.decode(BOLD, RUNS, slice(60, 90)), expected, rtol=1e-5)


def test_masked_bold_is_not_read():
    """Masked volumes, of another scale even, count as not scanned."""
    masked = np.ma.masked_array(BOLD.copy())
    masked[20:25] = 50.0
    masked[20:25] = np.ma.masked
    missing = BOLD.copy()
    missing[20:25] = np.nan
    expected = Decoder.fit(missing, CODE, T_R).decode(missing)
    np.testing.assert_array_equal(Decoder.fit(masked, CODE, T_R).decode(masked), expected)
