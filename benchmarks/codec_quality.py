"""Quality and bitrate of codecs: scores on folders of sounds, one folder per kind.

    python benchmarks/codec_quality.py FOLDER [--codecs bundled ...] [--kinds speech ...]

Codecs in the local Hugging Face cache are added automatically; Opus and mel + Griffin-Lim,
uncompressed and at the codec's bitrate, are baselines. Bits are counted from the stored data.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
from giblet.audio.mel import MelSettings, mel_spectrogram, mel_to_sound
from giblet.audio.metrics.distances import bits_per_second
from giblet.audio.metrics.scores import segment_scores, summarise
from giblet.audio.quantized_mel import dequantize_mel, matched_settings, pack_levels, quantize_mel
from giblet.errors import GibletError

METRICS = ("pesq_wb", "stoi", "si_sdr_db", "log_mel_db")
RATE = 24000  # Hz
OFFICIAL = ("facebook/encodec_24khz", "descript/dac_24khz")


@dataclass
class CodecWay:
    """A codec of giblet's at one bandwidth: a prefix of the codes of the highest."""

    codec: str
    bandwidth_kbps: float
    highest_kbps: float
    megabytes: float = field(init=False)

    def __post_init__(self):
        self.loaded = load_codec(self.codec, self.highest_kbps)
        self.n_codebooks = load_codec(self.codec, self.bandwidth_kbps).n_codebooks
        self.name = f"{self.codec} {self.bandwidth_kbps:g}"
        tensors = self.loaded.model.state_dict().values()
        self.megabytes = sum(t.numel() for t in tensors) * 2 / 1e6  # in half precision

    def pack(self, sound: np.ndarray):
        codes = self.loaded.encode(sound)[: self.n_codebooks]
        seconds = codes.shape[1] / self.loaded.frame_rate
        return codes, bits_per_second(codes, self.loaded.codebook_size, seconds) * seconds

    def unpack(self, codes) -> np.ndarray:
        return self.loaded.decode(codes)


@dataclass
class OpusWay:
    """libopus through PyAV; its packets' bytes are the bits, the container costs nothing."""

    kbps: float
    megabytes: float = float("nan")

    def __post_init__(self):
        self.name = f"opus {self.kbps:g}"

    def pack(self, sound: np.ndarray):
        n_bytes = 0
        file = tempfile.NamedTemporaryFile(suffix=".ogg")  # noqa: SIM115 (lives on)
        with av.open(file.name, "w") as container:
            stream = container.add_stream("libopus", rate=RATE, layout="mono")
            stream.bit_rate = round(self.kbps * 1000)
            stream.format = "flt"
            frame = av.AudioFrame.from_ndarray(sound[None], format="flt", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
            fifo = av.AudioFifo()
            fifo.write(frame)
            while piece := fifo.read(480, partial=True):
                packets = stream.encode(piece)
                n_bytes += sum(packet.size for packet in packets)
                container.mux(packets)
            packets = stream.encode(None)
            n_bytes += sum(packet.size for packet in packets)
            container.mux(packets)
        return file, 8 * n_bytes

    def unpack(self, file) -> np.ndarray:
        return read_sound(file.name, RATE)


@dataclass
class MelWay:
    """Mel + Griffin-Lim: values of 32 bits, or quantised to a bitrate."""

    kbps: float | None = None
    megabytes: float = 0.0

    def __post_init__(self):
        matched = matched_settings(self.kbps) if self.kbps else (MelSettings(), None)
        self.settings, self.quantizer = matched
        self.name = f"mel {self.kbps:g}" if self.kbps else "mel uncompressed"

    def pack(self, sound: np.ndarray):
        padded = np.pad(sound, (0, -len(sound) % self.settings.hop_length))
        mel = mel_spectrogram(padded, self.settings)
        if self.quantizer is None:
            return mel, 32 * mel.size
        levels = quantize_mel(mel, self.quantizer)
        return levels, 8 * len(pack_levels(levels, self.quantizer.n_bits))

    def unpack(self, stored) -> np.ndarray:
        mel = stored if self.quantizer is None else dequantize_mel(stored, self.quantizer)
        return mel_to_sound(mel, self.settings)


def measure(way, sounds: list[np.ndarray]) -> str:
    """One row: bitrate, scores with 95 % intervals over segments, speed each way."""
    n_bits, seconds, there, back, parts = 0.0, 0.0, 0.0, 0.0, []
    for sound in sounds:
        start = time.perf_counter()
        stored, bits = way.pack(sound)
        middle = time.perf_counter()
        estimate = way.unpack(stored)
        there, back = there + middle - start, back + time.perf_counter() - middle
        n_bits, seconds = n_bits + bits, seconds + len(sound) / RATE
        estimate = np.pad(estimate, (0, max(0, len(sound) - len(estimate))))[: len(sound)]
        parts.append(segment_scores(sound, estimate, RATE, 8.0))
    cells = ""
    for metric in METRICS:
        row = summarise(metric, np.concatenate([p[metric] for p in parts]), 0, 1000)
        cells += f"{row['value']:>8.2f} [{row['low']:.2f}, {row['high']:.2f}]".rjust(24)
    return (
        f"{way.name:<22}{n_bits / seconds / 1000:>8.2f}{cells}"
        f"{seconds / there:>8.1f}{seconds / back:>8.1f}{way.megabytes:>7.1f}"
    )


def cached() -> list[str]:
    """Official codecs in the local cache."""
    found = []
    for name in OFFICIAL:
        try:
            load_codec(name, 6.0)
            found.append(name)
        except GibletError:
            continue
    return found


def main() -> None:
    """Print one row per kind and codec."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--codecs", nargs="*", default=["bundled"])
    parser.add_argument("--bandwidths", type=float, nargs="*", default=[1.5, 3.0, 6.0])
    parser.add_argument("--kinds", nargs="*", default=["speech", "music", "effects"])
    parser.add_argument("--only-codecs", action="store_true")
    options = parser.parse_args()
    codecs = [*options.codecs, *cached()]
    highest = max(options.bandwidths)
    ways = [CodecWay(codec, kbps, highest) for codec in codecs for kbps in options.bandwidths]
    if not options.only_codecs:
        ways += [OpusWay(kbps) for kbps in (6.0, 12.0, 24.0)] + [MelWay(6.0), MelWay()]
    print(
        f"{'kind':<9}{'way':<22}{'kbit/s':>8}"
        + "".join(f"{m:>24}" for m in METRICS)
        + f"{'x there':>8}{'x back':>8}{'MB':>7}"
    )
    for kind in options.kinds:
        sounds = [read_sound(f, RATE) for f in sorted((options.folder / kind).glob("*.flac"))]
        for way in ways:
            print(f"{kind:<9}{measure(way, sounds)}", flush=True)


if __name__ == "__main__":
    main()
