"""Figures that others published, to stand beside ours: their sounds, their measurements."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """A codec at a bitrate: scores as printed by ``source``, empty where there is none."""

    codec: str
    kbps: str
    pesq_speech: str
    pesq_audio: str
    pesq_music: str
    stoi_speech: str
    si_sdr_db: str
    source: str


_ENCODEC = "EnCodec, 24 kHz"
_SOURCE = "PESQ, STOI: Codec-SUPERB (tiny); SI-SDR: table 3 of the DAC paper"
CODECS = (
    Published(_ENCODEC, "3", "1.98", "1.81", "1.92", ".86", "2.9", _SOURCE),
    Published(_ENCODEC, "6", "2.63", "2.30", "2.35", ".91", "6.0", _SOURCE),
    Published(_ENCODEC, "12", "3.30", "2.92", "2.81", ".94", "8.4", _SOURCE),
    Published(_ENCODEC, "24", "3.66", "3.33", "3.10", ".96", "9.6", _SOURCE),
)
DECODING = (
    "From measured fMRI to music, Brain2Music identifies .67 of the embeddings of a codec "
    "(SoundStream) and .88 of embeddings of meaning (MuLan), where chance is .5: a codec's own "
    "targets are the hardest. Its brains are not those of this page."
)
