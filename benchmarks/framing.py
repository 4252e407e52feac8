"""Effect of TR framing on sound: sync over two hours, and STOI compared with no framing.

    python benchmarks/framing.py SOUNDS/validation/speech [--part sync|stoi]

Sync: speech and clicks in turn, through a lossless codec, as largest lag (ms) of three
windows of 10 s. STOI: through the bundled codec, segments of 8 s; differences are paired.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr

from giblet.audio import AudioProcessor, processor
from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
from giblet.audio.framing import group_trs, ungroup_trs
from giblet.audio.metrics.distances import stoi
from giblet.audio.metrics.scores import summarise
from giblet.timing import TrClock, count_samples, whole_trs

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/audio"))
from pcm_codec import PcmCodec, lags_ms, speech_and_clicks

T_RS = (0.72, 0.8, 1.0, 1.49, 1.5, 2.0, 2.5)  # s
HOURS = 2
KINDS = ("speech", "clicks")
SEGMENT = 8 * 24000  # samples


def print_sync(files: list[Path]) -> None:
    """Largest lag by repetition time, framing and kind of sound."""
    rate = PcmCodec.sample_rate
    speech = np.concatenate([read_sound(file, rate) for file in files])
    sound = speech_and_clicks(speech, rate, 3600.0 * HOURS)
    processor.load_codec = lambda *_, **__: PcmCodec()
    titles = f"{'TRs':>7}{'speech ms':>11}{'clicks ms':>11}{'samples lost':>14}"
    print(f"{'t_r':>5} {'framing':<15}{titles}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.flac"
        soundfile.write(path, sound, rate)
        for t_r in T_RS:
            for framing in ("native", "tr_synchronous"):
                audio = AudioProcessor(t_r=t_r, framing=framing)
                features, _ = audio.audio_to_features(path)
                heard = audio.features_to_audio(features)
                lags = lags_ms(sound, heard, rate)
                worst = [max(abs(lags[k]) for k in lags if k.startswith(kind)) for kind in KINDS]
                lost = count_samples(audio.clock.duration(len(features)), rate) - len(heard)
                cells = f"{len(features):>7}{worst[0]:>11.4f}{worst[1]:>11.4f}{lost:>14}"
                print(f"{t_r:>5} {framing:<15}{cells}", flush=True)


def delayed(sound: np.ndarray, codec, n_samples: int) -> np.ndarray:
    """Code ``sound`` with shifted frames: the effect of frame offsets on STOI."""
    return codec.decode(codec.encode(np.pad(sound, (n_samples, 0))))[n_samples:]


def framed(sound: np.ndarray, codec, t_r: float, framing: str) -> np.ndarray:
    """Code and decode in TRs, as AudioProcessor does."""
    clock = TrClock(t_r, codec.frame_rate, framing)
    rate = clock.encoding_rate_hz(codec.sample_rate)
    n_trs = whole_trs(len(sound) / codec.sample_rate, t_r)
    codes = codec.encode(soxr.resample(sound, codec.sample_rate, rate))
    stream = ungroup_trs(group_trs(codes, clock, n_trs), clock)
    return soxr.resample(codec.decode(stream), rate, codec.sample_rate)


def print_stoi(files: list[Path]) -> None:
    """STOI with framing and without, and paired differences with their 95 % interval.

    STOI without framing is the mean over four offsets of the codec's frames.
    """
    codec = load_codec()
    sound = np.concatenate([read_sound(file, codec.sample_rate) for file in files])
    n_segments = len(sound) // SEGMENT - 1  # the last one may lie beyond the last whole TR
    parts = [slice(i * SEGMENT, (i + 1) * SEGMENT) for i in range(n_segments)]

    def scores(heard: np.ndarray) -> np.ndarray:
        return np.array([stoi(sound[p], heard[p], codec.sample_rate, False) for p in parts])

    def show(way: str, values: np.ndarray) -> None:
        row = summarise("stoi", values - plain, seed=0, n_bootstrap=10000)
        cells = f"{row['value']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
        print(f"{way:<38}{values.mean():>8.4f}   {cells}", flush=True)

    print(f"{n_segments} segments of 8 s\n{'way':<38}{'STOI':>8}   difference [95 %]")
    unframed = {n: scores(delayed(sound, codec, n)) for n in (0, 80, 160, 240)}
    plain = np.mean(list(unframed.values()), axis=0)
    for n_samples, values in unframed.items():
        show(f"no framing, frames {n_samples} samples later", values)
    show("native, 1.5 s", scores(framed(sound, codec, 1.5, "native")))
    uneven = [
        t for t in (0.7, *T_RS) if TrClock(t, codec.frame_rate).encoding_rate_hz(1) < 1 - 1e-6
    ]
    synchronous = [scores(framed(sound, codec, t_r, "tr_synchronous")) for t_r in uneven]
    for t_r, values in zip(uneven, synchronous, strict=True):
        show(f"tr_synchronous, {t_r} s", values)
    show("tr_synchronous, mean of these", np.mean(synchronous, axis=0))


def main() -> None:
    """Print one table or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="speech, as .flac")
    parser.add_argument("--part", choices=["sync", "stoi"])
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.flac"))
    if options.part != "sync":
        print_stoi(files)
    if options.part != "stoi":
        print_sync(files)


if __name__ == "__main__":
    main()
