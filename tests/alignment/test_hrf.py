"""The HRF: nilearn's, causal, at the right time, of amounts alone. Oracles: nilearn, SciPy."""

import numpy as np
import pytest
from nilearn.glm.first_level import compute_regressor, glover_hrf, spm_hrf
from scipy.stats import gamma

from giblet.alignment.hrf import convolve_hrf, cumulative_hrf, fir_lags, hrf_density, tr_kernel
from giblet.errors import GibletError

T_R = 1.5  # s
KERNELS = {"spm": spm_hrf, "glover": glover_hrf}


def volume_times(n_trs, offset=0.75):
    return np.arange(n_trs) * T_R + offset


def random_events(rng, n_trs):
    """(onsets, durations, amplitudes) on a grid of 50 ms, and the same as amounts at 20 Hz."""
    onsets = np.sort(rng.choice(np.arange(0, n_trs * T_R - 20, 2), 60, replace=False))
    onsets += rng.integers(0, 20) / 20
    durations, amplitudes = rng.integers(4, 40, 60) / 20, rng.uniform(0.5, 2, 60)
    amounts = np.zeros((round(n_trs * T_R * 20), 1))
    for onset, duration, amplitude in zip(onsets, durations, amplitudes, strict=True):
        amounts[round(onset * 20) : round((onset + duration) * 20)] += amplitude
    return (onsets, durations, amplitudes), amounts


@pytest.mark.parametrize("model", ["spm", "glover"])
def test_impulse_response_is_nilearns_kernel_finely_sampled(model):
    rate_hz = 100.0
    impulse = np.zeros((100, 1))
    impulse[0] = rate_hz  # of area 1, centred on 5 ms
    times = np.arange(0.2, 31.0, 0.37)
    response = convolve_hrf(impulse, rate_hz, times, model)[:, 0]
    kernel = KERNELS[model](T_R, oversampling=150, time_length=32.0) * 100  # 1/s, every 10 ms
    expected = np.interp(times - 0.005, np.linspace(0, 32, len(kernel)), kernel)
    np.testing.assert_allclose(response, expected, atol=1e-3 * expected.max())


@pytest.mark.parametrize("model", ["spm", "glover"])
def test_the_density_is_nilearns(model):
    times, density = hrf_density(model)
    expected = KERNELS[model](0.01, oversampling=1, time_length=32.0) / 0.01
    np.testing.assert_allclose(density, expected, rtol=1e-10, atol=1e-13)
    assert (times[0], times[-1]) == (0, 32)


def test_spm_kernel_is_two_gammas():
    times, density = hrf_density("spm")
    two = gamma.pdf(times, 6) - gamma.pdf(times, 16) / 6
    two /= two.sum() * times[1]
    np.testing.assert_allclose(density, two, atol=0.01 * two.max())  # nilearn's starts 10 ms late
    assert cumulative_hrf("spm")[1][-1] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("model", ["spm", "glover"])
def test_agrees_with_nilearns_regressor_of_random_events(model, rng):
    events, amounts = random_events(rng, 200)
    times = volume_times(200)
    expected, _ = compute_regressor(events, model, times)
    regressor = convolve_hrf(amounts, 20.0, times, model)[:, 0]
    assert np.corrcoef(regressor, expected[:, 0])[0, 1] > 0.999


def test_the_future_does_not_leak_into_the_past(rng):
    features = rng.standard_normal((1000, 5))
    altered = features.copy()
    altered[600:] = 0.0  # from 60 s on
    times = volume_times(66)
    before = times < 60
    one, other = (convolve_hrf(f, 10.0, times) for f in (features, altered))
    np.testing.assert_array_equal(one[before], other[before])
    assert np.abs(one[~before] - other[~before]).max(axis=0).min() > 0.01


@pytest.mark.parametrize("rate_hz", [1 / T_R, 4.0, 75.0])
def test_the_response_peaks_five_seconds_after_the_event_never_before_it(rate_hz):
    amounts = np.zeros((round(90 * rate_hz), 1))
    event = round(30 * rate_hz)
    amounts[event] = rate_hz
    times = np.arange(0, 90, 0.05)
    response = convolve_hrf(amounts, rate_hz, times)[:, 0]
    begin, middle = event / rate_hz, (event + 0.5) / rate_hz
    assert not response[times < begin].any()
    assert times[response.argmax()] - middle == pytest.approx(5.0, abs=0.1)  # not nilearn's 6.0
    assert times[response.argmin()] - middle == pytest.approx(15.75, abs=0.5)  # the undershoot


@pytest.mark.parametrize("model", ["spm", "glover"])
@pytest.mark.parametrize(("t_r", "offset"), [(1.5, 0.75), (1.5, 0.0), (2.0, 1.9), (0.72, 0.36)])
def test_tr_kernel_is_the_response_to_one_tr(t_r, offset, model):
    kernel = tr_kernel(t_r, offset, model)
    impulse = np.zeros((60, 1))
    impulse[4] = 1.0
    times = np.arange(60) * t_r + offset
    response = convolve_hrf(impulse, 1 / t_r, times, model)[4 : 4 + len(kernel), 0]
    np.testing.assert_allclose(response, kernel[: len(response)], atol=1e-6)
    assert kernel.sum() == pytest.approx(1, abs=0.01)


def test_without_a_kernel_of_its_own_a_read_out_begins_with_spms_or_with_this_tr():
    np.testing.assert_array_equal(tr_kernel(T_R, 0.75, "fir"), tr_kernel(T_R, 0.75, "spm"))
    kernel = tr_kernel(T_R, 0.75, "none")
    impulse = np.eye(60, 1)
    response = convolve_hrf(impulse, 1 / T_R, volume_times(60, 0.75), "none")[: len(kernel), 0]
    np.testing.assert_array_equal(kernel, response)
    assert len(kernel) == len(tr_kernel(T_R, 0.75))  # as much can be learned


def test_lags_of_fir_where_the_tr_is_long():
    assert fir_lags("fir", None, 8.0) == (8.0,)
    with pytest.raises(GibletError, match="set fir_lags_seconds"):
        fir_lags("fir", None, 9.0)


def test_when_in_the_tr_a_volume_is_taken_matters():
    early, middle, late = (tr_kernel(T_R, offset) for offset in (0.0, 0.75, 1.5))
    assert early[0] == 0 < middle[0] < late[0]  # nothing of this TR has been seen at its beginning
    np.testing.assert_allclose(early[1:], late[:-1], atol=1e-6)  # a whole TR later
    assert np.abs(early - middle).max() > 0.1 * middle.max()


def test_before_the_film_and_long_after_it_there_is_no_response(rng):
    features = rng.standard_normal((200, 3)) + 1  # 20 s
    response = convolve_hrf(features, 10.0, np.array([-5.0, 0.0, 10.0, 53.0, 1000.0]))
    assert not response[[0, 1, 4]].any()
    assert np.abs(response[2]).min() > 0.1
    np.testing.assert_allclose(response[3], 0, atol=1e-6)


def test_convolution_is_linear_and_keeps_the_level(rng):
    a, b = rng.standard_normal((2, 600, 4))
    times = volume_times(40)
    together = convolve_hrf(2 * a + b, 10.0, times)
    apart = 2 * convolve_hrf(a, 10.0, times) + convolve_hrf(b, 10.0, times)
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert convolve_hrf(np.full((600, 1), 3.0), 10.0, np.array([59.0])) == pytest.approx(
        3, abs=0.01
    )
    assert together.dtype == np.float32


def test_codes_are_refused(rng):
    codes = rng.integers(0, 1024, (200, 8), dtype=np.int32)
    with pytest.raises(TypeError, match=r"labels\. Dequantise"):
        convolve_hrf(codes, 75.0, volume_times(1))


def test_renumbering_a_codebook_changes_nothing_in_the_latents(rng):
    """An index is a label: renumber codebook and codes together, and the sound is the same."""
    codebooks = rng.standard_normal((8, 1024, 16))
    codes = rng.integers(0, 1024, (8, 6000))  # 80 s
    new_name = np.stack([rng.permutation(1024) for _ in range(8)])
    renumbered = np.take_along_axis(new_name, codes, axis=1)
    codebooks_too = np.empty_like(codebooks)
    for q in range(8):
        codebooks_too[q, new_name[q]] = codebooks[q]

    def latents(books, labels):
        return sum(book[label] for book, label in zip(books, labels, strict=True))

    times = volume_times(53)
    one, other = latents(codebooks, codes), latents(codebooks_too, renumbered)
    np.testing.assert_array_equal(convolve_hrf(one, 75.0, times), convolve_hrf(other, 75.0, times))
    blurred = [convolve_hrf(c.T.astype(float), 75.0, times)[22:] for c in (codes, renumbered)]
    blurred, blurred_too = (b - b.mean(axis=0) for b in blurred)  # past the first 32 s
    assert abs(np.corrcoef(blurred.ravel(), blurred_too.ravel())[0, 1]) < 0.5


def test_amounts_that_are_no_numbers_are_refused():
    features = np.ones((100, 2))
    features[30, 1] = np.nan
    with pytest.raises(ValueError, match=r"first at \(30, 1\)"):
        convolve_hrf(features, 10.0, volume_times(5))


def test_fir_is_nilearns_one_delay_on(rng):
    """nilearn's delay d means the TR that begins d TRs before the volume, not ends there."""
    events, amounts = random_events(rng, 200)
    times = volume_times(200, offset=0.0)
    expected, _ = compute_regressor(events, "fir", times, fir_delays=[1, 3, 6], oversampling=60)
    regressors = convolve_hrf(amounts, 20.0, times, "fir", lags=[0.0, 2 * T_R, 5 * T_R])
    assert regressors.shape == (200, 3)
    for one, other in zip(regressors.T, expected.T, strict=True):
        assert np.corrcoef(one, other)[0, 1] > 0.999
        assert np.abs(one - other).max() < 0.05 * np.abs(other).max()


def test_fir_windows_are_means_of_what_was_shown(rng):
    features, times = rng.standard_normal((600, 3)), np.arange(5.0, 55.0, 2.0)
    regressors = convolve_hrf(features, 10.0, times, "fir", lags=[0.0, 1.5], width=3.0)
    for i, time in enumerate(times):
        ends = [round(10 * time), round(10 * (time - 1.5))]
        windows = [features[end - 30 : end].mean(axis=0) for end in ends]
        np.testing.assert_allclose(regressors[i], np.concatenate(windows), atol=1e-6)
    one, other = (
        convolve_hrf(features, 10.0, times, "fir", lags=[0.0, 1.5], width=width)
        for width in (None, 2.0)  # the volumes' own spacing
    )
    np.testing.assert_array_equal(one, other)


def test_no_hrf_is_nilearns_none_the_sample_that_holds_the_volume(rng):
    events, amounts = random_events(rng, 200)
    times = volume_times(200, offset=0.025)  # away from the edges, where nilearn interpolates
    expected, _ = compute_regressor(events, None, times, oversampling=60)
    sampled = convolve_hrf(amounts, 20.0, times, "none")
    np.testing.assert_allclose(sampled, expected, atol=1e-6)
    features = rng.standard_normal((300, 4)).astype(np.float32)
    for offset in (0.0, 0.75, 1.4999):
        own = convolve_hrf(features, 1 / T_R, volume_times(300, offset), "none")
        np.testing.assert_array_equal(own, features)
    outside = convolve_hrf(features, 1 / T_R, np.array([-0.1, 450.0]), "none")
    assert not outside.any()


@pytest.mark.parametrize("model", ["fir", "none"])
def test_without_a_canonical_kernel_the_future_does_not_leak_either(rng, model):
    features = rng.standard_normal((1000, 5))
    altered = features.copy()
    altered[600:] = 0.0  # from 60 s on
    times, lags = volume_times(66), [0.0, 3.0] if model == "fir" else []
    one, other = (convolve_hrf(f, 10.0, times, model, lags=lags) for f in (features, altered))
    before = times < 60
    np.testing.assert_array_equal(one[before], other[before])
    assert np.abs(one[~before] - other[~before]).max(axis=0).min() > 0.01


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_blocks_of_volumes_are_volumes_one_by_one(rng, dtype):
    features = rng.standard_normal((2000, 3)).astype(dtype)
    times = rng.uniform(-20, 240, 101)  # no order, some before the film and some long after it
    together = convolve_hrf(features, 10.0, times)
    alone = np.concatenate([convolve_hrf(features, 10.0, times[i : i + 1]) for i in range(101)])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    kernel = np.diff(np.interp(np.arange(0, 32.1, 0.1), *cumulative_hrf()))
    convolved = np.convolve(features[:, 0].astype(float), kernel)[:2000]
    at_ends = convolve_hrf(features, 10.0, np.arange(1, 2001) / 10)[:, 0]
    np.testing.assert_allclose(at_ends, convolved, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "fir"}, "lags"),
        ({"model": "spm", "lags": [0.0]}, "belong to model 'fir'"),
        ({"model": "fir", "lags": [-1.0]}, "0 s or more"),
        ({"model": "fir", "lags": [1.0], "width": 0.0}, "width above 0"),
        ({"model": "canonical"}, "spm, glover, fir, none, got 'canonical'"),
    ],
)
def test_options_that_make_no_kernel_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        convolve_hrf(np.ones((100, 2)), 10.0, volume_times(5), **options)


def test_shapes_are_said():
    with pytest.raises(ValueError, match=r"\(n_samples, n_features\), got \(100,\)"):
        convolve_hrf(np.ones(100), 10.0, volume_times(5))
    with pytest.raises(ValueError, match="finite seconds"):
        convolve_hrf(np.ones((100, 1)), 10.0, np.array([1.0, np.nan]))


def test_unknown_model_is_named():
    with pytest.raises(ValueError, match="one of spm, glover, got 'canonical'"):
        hrf_density("canonical")
