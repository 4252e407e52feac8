"""Neurons answer to change: what lasts is taken off."""

import numpy as np


def adapt(features: np.ndarray, rate_hz: float, *, adaptation: float = 10.0) -> np.ndarray:
    """``features`` (n_samples, n_features) less their running mean over ``adaptation`` s.

    Without this, most of the response to scenes of a minute would be as slow as the scanner's
    drift, and would go with it in cleaning.

    >>> lasting = np.repeat([[2.0], [3.0]], [100, 1900], axis=0)  # a step at 10 s
    >>> adapt(lasting, rate_hz=10.0)[[0, 99, 100, 1999]].round(2).ravel().tolist()
    [0.0, 0.0, 0.99, 0.0]
    """
    from scipy.signal import lfilter

    kept = np.exp(-1 / (adaptation * rate_hz))  # of the running mean, per sample
    start = kept * features[:1]  # adapted to what is there at first
    running_mean, _ = lfilter([1 - kept], [1, -kept], features, axis=0, zi=start)
    return features - running_mean
