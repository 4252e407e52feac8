"""Mono from the channels of a sound, by their places.

One or two channels: their mean. More: the mono downmix of ITU-R BS.775 (table 2), as FFmpeg's
``-ac 1`` has it for floats: centre 1, front left and right 0.7071, surround and height channels
0.5, LFE left out; of ambisonics the omnidirectional channel. A voice in the centre keeps its level,
and since samples are floats nothing is clipped, though full scale in all channels of 5.1 at once
would make 10.7 dB more. Six or eight channels without places are taken as 5.1 and 7.1, as players
take them; of others without places, the mean.
"""

from functools import cache

import numpy as np

_FRONT, _SURROUND = 0.5**0.5, 0.5
_WEIGHTS = {"FC": 1.0, "LFE": 0.0, "LFE2": 0.0, "AMBI0": 1.0}
_WEIGHTS |= dict.fromkeys(["FL", "FR", "FLC", "FRC", "WL", "WR", "DL", "DR"], _FRONT)
_SIX = ("FL", "FR", "FC", "LFE", "BL", "BR")  # as WAV orders them
_PLAYERS = {6: _SIX, 8: (*_SIX, "SL", "SR")}
_NO_PLACE = ("NONE", "UNK", "UNSD")


@cache
def downmix_weights(layout: str) -> tuple[float, ...]:
    """Weight of each channel in the mono sound, by FFmpeg's name of their layout.

    >>> [round(weight, 4) for weight in downmix_weights("5.1(side)")]
    [0.7071, 0.7071, 1.0, 0.0, 0.5, 0.5]
    >>> downmix_weights("stereo"), downmix_weights("4 channels")
    ((0.5, 0.5), (0.25, 0.25, 0.25, 0.25))
    """
    import av

    places = tuple(channel.name for channel in av.AudioLayout(layout).channels)
    if {*places} <= {*_NO_PLACE}:
        places = _PLAYERS.get(len(places), places)
    if len(places) <= 2 or {*places} & {*_NO_PLACE}:
        return (1 / len(places),) * len(places)
    return tuple(map(_weight, places))


def _weight(place: str) -> float:
    directional = place.startswith("AMBI")
    return _WEIGHTS.get(place, 0.0 if directional else _SURROUND)


def mono(channels: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    """Weighted sum (n_samples,) float32 of ``channels`` (n_channels, n_samples) float32."""
    if len(channels) == 1:
        return channels[0]
    if len(set(weights)) == 1:  # the mean
        return channels.sum(axis=0) / np.float32(len(channels))
    return np.asarray(weights, dtype=np.float32) @ channels
