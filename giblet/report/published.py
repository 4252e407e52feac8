"""Figures that others published, beside ours: their sounds, their measurements."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from giblet.report.tables import metric_of, number, path_label


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
_DAC = "the DAC paper (Kumar et al., 2023)"
_SOURCE = f"PESQ, STOI: Codec-SUPERB (tiny); SI-SDR: {_DAC}, table 3"
CODECS = (
    Published(_ENCODEC, "3", "1.98", "1.81", "1.92", ".86", "2.9", _SOURCE),
    Published(_ENCODEC, "6", "2.63", "2.30", "2.35", ".91", "6.0", _SOURCE),
    Published(_ENCODEC, "12", "3.30", "2.92", "2.81", ".94", "8.4", _SOURCE),
    Published(_ENCODEC, "24", "3.66", "3.33", "3.10", ".96", "9.6", _SOURCE),
    Published("DAC, 24 kHz", "24", "4.35", "", "", "", "", _DAC),
)
DECODING = (
    "From measured fMRI to music, Brain2Music identifies .67 of the embeddings of a codec "
    "(SoundStream) and .88 of embeddings of meaning (MuLan), where chance is .5: a codec's own "
    "targets are the hardest. Its brains are not those of this page."
)


def ours(scores: pd.DataFrame) -> list[Published]:
    """What was measured of this film: each path alone, without a model.

    ``scores``: table with ``path column metric value low high n n_failed``.
    """
    alone = scores[scores["column"] == "codec"].set_index(["path", "metric"])["value"]
    return [_our(path, alone[path]) for path in alone.index.unique("path")]


def _our(path: str, values: pd.Series) -> Published:
    """PESQ is of segments with speech, the others of all segments."""
    pesq, stoi, si_sdr, kbps = (
        number(values.get(name, np.nan), metric_of(name).decimals)
        for name in ("pesq_wb", "stoi", "si_sdr_db", "kbit_per_s")
    )
    name = f"Here: {path_label(path, 'codec')}"
    return Published(name, kbps, pesq, "", "", stoi, si_sdr, "this page; STOI, SI-SDR of all sound")
