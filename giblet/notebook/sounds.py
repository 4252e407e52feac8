"""A sound in a notebook: its samples, and a player."""

from dataclasses import dataclass, field

import numpy as np

from giblet.timing import samples_duration

LEVEL = 0.1  # RMS of full scale at which players play


@dataclass(frozen=True)
class Sound:
    """A sound (n_samples,) at ``sample_rate`` Hz. Shown in a notebook, it is a player.

    >>> sound = Sound("a tone", np.sin(np.arange(24000) / 9), 24000)
    >>> sound
    Sound(a tone: 1.0 s at 24000 Hz)
    >>> np.asarray(sound).shape
    (24000,)
    """

    name: str
    waveform: np.ndarray = field(repr=False)
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Its length."""
        return samples_duration(len(self.waveform), self.sample_rate)

    def player(self, max_seconds: float = 60.0) -> str:
        """HTML of a player of the first ``max_seconds``, at the level that all players have."""
        from giblet.report.listen import player_uri

        level = float(np.sqrt(np.mean(np.square(self.waveform, dtype=float)) + 1e-20))
        peak = float(np.abs(self.waveform).max(initial=0.0)) + 1e-10
        gain = min(LEVEL / level, 1 / peak)
        uri = player_uri(self.waveform * gain, self.sample_rate, max_seconds)
        return f'<audio controls preload="none" src="{uri}"></audio>'

    def save(self, path) -> None:
        """Write it as ``path`` (.wav or .flac), as it is."""
        from giblet.audio.files import write_sound

        write_sound(path, self.waveform, self.sample_rate)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.waveform, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.waveform)

    def __repr__(self) -> str:
        return f"Sound({self.name}: {self.seconds:.1f} s at {self.sample_rate} Hz)"

    def _repr_html_(self) -> str:
        return self.player()
