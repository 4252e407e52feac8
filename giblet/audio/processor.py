"""AudioProcessor: a film's sound as one feature array per TR, and back."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from giblet.audio.codecs.codec import BUNDLED, Codec
from giblet.audio.feature_types import FEATURE_TYPES
from giblet.audio.files import sound_blocks, write_sound
from giblet.audio.formats import FORMAT_VERSION, check_stored, unpack
from giblet.audio.framing import group_trs, ungroup_trs
from giblet.audio.mel import MelSettings
from giblet.config.config import Config
from giblet.errors import GibletError
from giblet.log import progress
from giblet.timing import (
    TrClock,
    check_t_r,
    count_samples,
    samples_duration,
    tr_onsets,
    whole_frames,
    whole_trs,
)

if TYPE_CHECKING:
    import pandas as pd


class AudioProcessor:
    """A film's sound to features per TR, and features back to sound.

    Parameters
    ----------
    use_encodec
        True: EnCodec codes, int32 (n_trs, n_codebooks, frames_per_tr).
        False: mel spectrogram in dB, float32 (n_trs, n_mels, frames_per_tr).
    codec
        ``"bundled"``, a Hugging Face id or a folder, as ``giblet.audio.load_codec`` takes it; or
        any object that is a ``giblet.audio.Codec``.
    bandwidth_kbps
        Bandwidth of the codec, the nearest that it offers: 6 kbps is 8 codebooks at 24 kHz.
    codebooks
        Their number, instead of ``bandwidth_kbps``.
    exact_codes
        Encode in double precision: codes do not depend on the processor, and take two to three
        times as long.
    t_r
        Repetition time of the scan, s.
    framing
        ``"tr_synchronous"`` (equal frames in every TR: the sound runs a little faster or slower
        through the codec), ``"native"`` (the codec's own clock), or ``"auto"``: native where the
        sound would run more than 1 % faster or slower.
    mel
        Settings of the mel path.
    """

    def __init__(
        self,
        use_encodec: bool = True,
        codec: "str | Path | Codec" = BUNDLED,
        bandwidth_kbps: float = 6.0,
        t_r: float = 1.5,
        framing: str = "auto",
        mel: MelSettings | None = None,
        codebooks: int | None = None,
        exact_codes: bool = False,
    ):
        if not isinstance(use_encodec, bool | np.bool_):  # "false" would be true
            raise TypeError(f"use_encodec must be True or False, got {use_encodec!r}")
        self.feature_type = FEATURE_TYPES["encodec" if use_encodec else "mel"]
        self.mel = mel or MelSettings()
        self.coder = self.feature_type.coder(
            codec, bandwidth_kbps, codebooks, exact_codes, self.mel
        )
        rate = self.coder.frame_rate
        if use_encodec:
            self.clock = TrClock.choose(t_r, rate, framing)
        else:
            self.clock = TrClock(t_r, rate, n_frames=whole_frames(check_t_r(t_r, rate), rate))

    @classmethod
    def from_config(cls, config: Config, path: str) -> Self:
        """As a config has it, for the feature type ``encodec`` or ``mel``."""
        keys = {"codec", "bandwidth_kbps", "codebooks", "exact_codes", "t_r", "framing"}
        chosen = config.model_dump(include=keys)
        return cls(path == "encodec", mel=MelSettings.from_config(config.mel), **chosen)

    def __repr__(self) -> str:
        clock, facts = self.clock, self.coder.facts()
        coder = f" of {facts['codec']}, {facts['bandwidth_kbps']:g} kbit/s" if self.codec else ""
        return (
            f"AudioProcessor({self.encoding_mode}{coder}: {self.coder.n_rows} × "
            f"{clock.frames_per_tr} in a TR of {clock.t_r:g} s; {self.sample_rate} Hz)"
        )

    @property
    def sample_rate(self) -> int:
        """Hz, of the sound that it decodes."""
        return self.coder.sample_rate

    @property
    def codec(self) -> Codec | None:
        """The codec, where features are its codes."""
        return getattr(self.coder, "codec", None)

    @property
    def use_encodec(self) -> bool:
        """True if features are codes."""
        return self.feature_type.is_codes

    @property
    def encoding_mode(self) -> str:
        """``encodec`` or ``mel``."""
        return self.feature_type.name

    def audio_to_features(
        self, path: str | Path, max_trs: int | None = None, track: int | str | None = None
    ) -> tuple[np.ndarray, "pd.DataFrame"]:
        """Features of every whole TR of a film's or sound file's sound, and a table about them.

        ``track``: of several sound tracks, as `giblet.audio.read_sound` takes it.

        Returns
        -------
        features : (n_trs, n_codebooks, frames_per_tr) int32 or (n_trs, n_mels, frames_per_tr)
            float32, see the class.
        metadata : one row a TR with ``tr_index, start_time, end_time`` (s), ``n_frames``,
            ``encoding_mode``.

        Raises
        ------
        GibletError
            No such file, not a media file, no sound, shorter than one TR.
        """
        stream, n_trs = self.extract(path, max_trs, track)
        return group_trs(stream, self.clock, n_trs), self.metadata(n_trs)

    def extract(
        self, path: str | Path, max_trs: int | None = None, track: int | str | None = None
    ) -> tuple[np.ndarray, int]:
        """The stream of frames (n_codebooks or n_mels, n_frames) of whole TRs, and their number.

        Reads the file once, and never holds more of its sound in memory than some seconds.
        """
        if max_trs is not None and max_trs < 1:
            raise ValueError(f"max_trs must be at least 1, got {max_trs}")
        rate = self.clock.encoding_rate_hz(self.sample_rate)
        most = None if max_trs is None else count_samples(self.clock.duration(max_trs), rate)
        blocks = sound_blocks(path, rate, track=track)
        sound = _Counted(progress(blocks, "reading sound", "blocks"), most)
        stream = self.coder.encode(sound)
        duration = samples_duration(sound.n_samples, rate)
        rounding = samples_duration(0.5, rate)  # of the number of samples
        n_trs = whole_trs(duration + rounding, self.clock.t_r)
        if n_trs < 1:
            raise GibletError(
                f"{path}: {duration:.2f} s of sound is shorter than one TR ({self.clock.t_r} s)"
            )
        return stream[:, : self.clock.edges(n_trs)[-1]], n_trs

    def features_to_audio(
        self,
        features,
        path: str | Path | None = None,
        attrs: Mapping | None = None,
        first_tr: int = 0,
    ) -> np.ndarray:
        """Sound (n_samples,) float32 at ``sample_rate`` of features; written too if ``path``.

        Parameters
        ----------
        features
            An array as ``audio_to_features`` gives it, or as it was stored: an xarray Dataset
            with ``audio``, or a DataArray. On the mel path also (n_trs, n_mels), the average of
            each TR (``giblet.audio.mel.average_trs``): the average is held for the whole TR.
            What changes within a TR is gone: of speech no word can be understood.
        attrs
            What was stored with the features, if they do not carry it themselves: ``facts()``.
            Then codes of fewer codebooks of the same codec decode too.
        first_tr
            The film's TR that comes first: in native framing TRs differ by a frame, and may begin
            within one.

        Raises
        ------
        GibletError
            Features of another codec, revision, wider bandwidth, t_r, framing or version.
        TypeError, ValueError
            Features of another kind or shape than ``audio_to_features`` gives.
        """
        features, stored = unpack(features, attrs)
        features = self.check_features(features, stored)
        clock = self._stored_clock(stored)
        rate = clock.encoding_rate_hz(self.sample_rate)
        stream = ungroup_trs(features, clock, first_tr)
        waveform = self.coder.decode(stream)
        n_wanted = count_samples(clock.duration(len(features)), self.sample_rate)
        waveform = _resample(waveform, rate, self.sample_rate)
        waveform = waveform[count_samples(clock.head_start(first_tr), self.sample_rate) :]
        waveform = np.pad(waveform, (0, max(0, n_wanted - len(waveform))))[:n_wanted]
        if path is not None:
            write_sound(path, waveform, self.sample_rate)
        return waveform

    def _stored_clock(self, stored: Mapping) -> TrClock:
        """The clock by which features were framed: by a file's facts, else this processor's."""
        if "framing" not in stored:
            return self.clock
        own = {"t_r": self.clock.t_r, "frame_rate": self.clock.frame_rate}
        return TrClock.from_facts(own | dict(stored))

    def check_features(self, features: np.ndarray, stored: Mapping | None = None) -> np.ndarray:
        """``features`` (n_trs, rows, frames_per_tr) if this processor may decode them.

        Raises as ``features_to_audio`` does.
        """
        stored = dict(stored or {})
        if stored:
            check_stored(stored, self.facts())
        return self.coder.check(features, stored, self.clock.frames_per_tr)

    def metadata(self, n_trs: int) -> "pd.DataFrame":
        """One row a TR: ``tr_index, start_time, end_time, n_frames, encoding_mode``."""
        return tr_table(self.clock, n_trs).assign(encoding_mode=self.encoding_mode)

    def facts(self) -> dict:
        """Attributes of a file of features: all that decoding it needs to match."""
        return {
            "format_version": FORMAT_VERSION,
            "encoding_mode": self.encoding_mode,
            "t_r": self.clock.t_r,
            "framing": self.clock.framing,
            "frames_per_tr": self.clock.frames_per_tr,
            "bend": self.clock.bend,
            "sample_rate": self.sample_rate,
            "frame_rate": self.clock.frame_rate,
            "units": self.feature_type.unit,
        } | self.coder.facts()

    def latents(self, stream: np.ndarray) -> np.ndarray:
        """Floats (n_frames, n_features) that an HRF may blur: dequantised codes, or mel in dB."""
        return self.coder.latents(stream)

    def regressors(self, features: np.ndarray) -> tuple[np.ndarray, float]:
        """Regressors before the HRF: ((n_frames, n_features) float32, frames per second of film).

        ``features`` (n_trs, n_rows, frames_per_tr) from the film's first TR on.
        """
        stream = ungroup_trs(features, self.clock)
        return self.coder.regressors(stream), self.clock.film_frame_rate()


class _Counted:
    """Blocks of sound up to ``most`` samples; ``n_samples`` of them have gone by."""

    def __init__(self, blocks: Iterable[np.ndarray], most: int | None):
        self.blocks, self.most, self.n_samples = blocks, most, 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            block = block if self.most is None else block[: self.most - self.n_samples]
            self.n_samples += len(block)
            yield block
            if self.n_samples == self.most:
                return


def tr_table(clock: TrClock, n_trs: int) -> "pd.DataFrame":
    """One row a TR: ``tr_index``, ``start_time`` and ``end_time`` (s of film), ``n_frames``.

    >>> tr_table(TrClock(1.5, 75), 2).iloc[1].tolist()
    [1.0, 1.5, 3.0, 112.0]
    """
    import pandas as pd

    onsets = tr_onsets(n_trs + 1, clock.t_r)
    return pd.DataFrame(
        {
            "tr_index": np.arange(n_trs),
            "start_time": onsets[:-1],
            "end_time": onsets[1:],
            "n_frames": np.diff(clock.edges(n_trs)),
        }
    )


def _resample(waveform: np.ndarray, rate_in: float, rate_out: float) -> np.ndarray:
    import soxr

    return waveform if rate_in == rate_out else soxr.resample(waveform, rate_in, rate_out)
