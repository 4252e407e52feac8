"""Sounds that a browser plays from within the page."""

import base64
import io

import numpy as np

from giblet.checks import check_waveform
from giblet.timing import count_samples

PLAYER_RATE_HZ = 24000  # one of the rates that Opus takes
BIT_RATE = 48000  # bit/s


def player_uri(waveform: np.ndarray, sample_rate: float, max_seconds: float = 60.0) -> str:
    """The first ``max_seconds`` of ``waveform`` (n_samples,) as a ``data:audio/webm`` URI.

    Opus at 48 kbit/s, mono: near to transparent, a tenth of a wav file. Samples outside [-1, 1]
    are clipped. The same samples give the same bytes.

    Raises TypeError or ValueError where ``waveform`` is not finite floats of one dimension.
    """
    import soxr

    heard = check_waveform(waveform)[: count_samples(max_seconds, sample_rate)]
    heard = soxr.resample(heard.astype(np.float32), sample_rate, PLAYER_RATE_HZ)
    webm = _opus_in_webm(np.clip(heard, -1, 1))
    return "data:audio/webm;base64," + base64.b64encode(webm).decode("ascii")


def _opus_in_webm(samples: np.ndarray) -> bytes:
    """``samples`` (n_samples,) float32 at ``PLAYER_RATE_HZ``, with no random ids or dates."""
    import av

    target = io.BytesIO()
    with av.open(target, "w", format="webm", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=PLAYER_RATE_HZ, layout="mono")
        stream.bit_rate = BIT_RATE
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        whole = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        whole.sample_rate, whole.pts = PLAYER_RATE_HZ, 0
        encoder_format = stream.codec_context.format
        for frame in av.AudioResampler(encoder_format, "mono", PLAYER_RATE_HZ).resample(whole):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target.getvalue()
