"""A segment of sound in every form that a metric takes."""

from dataclasses import dataclass

import numpy as np

from giblet.audio.metrics.distances import envelopes, log_mel_db, resampled_for_stoi
from giblet.audio.metrics.speech import SPEECH_RATE_HZ, has_signal, speech_share
from giblet.audio.metrics.stoi import StoiReference
from giblet.audio.metrics.visqol import VISQOL_RATE_HZ
from giblet.audio.metrics.voice import Voice, centroids_hz, voice_of
from giblet.parallel import cached_property

MIN_SPEECH_SHARE = 0.5  # of a segment, for metrics of speech


@dataclass(frozen=True)
class Segment:
    """A segment of sound, ``waveform`` (n_samples,); each form of it is computed once.

    ``mel_floor``: power, of `giblet.audio.metrics.distances.log_mel_floor`.
    """

    waveform: np.ndarray
    sample_rate: float
    mel_floor: float

    @cached_property
    def audible(self) -> bool:
        return has_signal(self.waveform)

    @cached_property
    def is_speech(self) -> bool:
        return speech_share(self.at_16k, SPEECH_RATE_HZ) >= MIN_SPEECH_SHARE

    @cached_property
    def at_16k(self) -> np.ndarray:
        import soxr

        return soxr.resample(self.waveform.astype(np.float32), self.sample_rate, SPEECH_RATE_HZ)

    @cached_property
    def at_48k(self) -> np.ndarray:
        import soxr

        return soxr.resample(self.waveform.astype(np.float32), self.sample_rate, VISQOL_RATE_HZ)

    @cached_property
    def for_stoi(self) -> np.ndarray:
        return resampled_for_stoi(self.waveform, self.sample_rate)

    @cached_property
    def stoi_reference(self) -> StoiReference:
        return StoiReference(self.for_stoi)

    @cached_property
    def envelopes(self) -> np.ndarray:
        return envelopes(self.at_16k)

    @cached_property
    def voice(self) -> Voice:
        return voice_of(self.at_16k)

    @cached_property
    def centroids(self) -> np.ndarray:
        return centroids_hz(self.waveform, self.sample_rate)

    @cached_property
    def log_mel(self) -> np.ndarray:
        return log_mel_db(self.waveform, self.sample_rate, self.mel_floor)
