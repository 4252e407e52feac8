"""Speed, memory and exactness of giblet's codec compared with transformers' own calls.

    python benchmarks/codec.py [--codec FOLDER] [--seconds 300] [--ways WAY ...]

Without ``--codec``: random weights in the official configuration of facebook/encodec_24khz (speed
does not depend on the weights), codebooks filled from residuals. Each way runs in its own
process; "floor" is the time of the network's multiplications as one large matrix product. Below:
the codes that differ from those of double precision, and the rounding of the latents.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

TUNABLES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "-1", "MALLOC_TOP_PAD_": "268435456"}
WAYS = ("giblet", "giblet, one thread", "transformers", "transformers, tunables")
GMAC_PER_SECOND = 1.49  # of sound, each way, official configuration


def without_silence(sound: np.ndarray, n: int = 24000) -> np.ndarray:
    """Drop quiet seconds of ``sound``: in silence all frames are alike and their codes are ties."""
    seconds = sound[: len(sound) // n * n].reshape(-1, n)
    return seconds[seconds.std(axis=1) > 0.01].ravel()


def official_model(sound: np.ndarray):
    """The official configuration with random weights and codebooks that are in use."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    from giblet.codec_training.encodec import start_near_identity

    torch.manual_seed(0)
    model = EncodecModel(EncodecConfig()).eval()
    start_near_identity(model, torch.from_numpy(sound[:48000])[None, None])  # else all sound fades
    picks = torch.Generator().manual_seed(1)
    with torch.inference_mode():
        residual = model.encoder(torch.from_numpy(sound)[None, None])
        for layer in model.quantizer.layers:
            picked = torch.randperm(residual.shape[-1], generator=picks)[:2048].view(2, 1024)
            layer.codebook.embed.copy_(residual[0, :, picked].mean(dim=1).T)  # of two: no doubles
            residual = residual - layer.decode(layer.encode(residual))
    return model


def peak_memory() -> int:
    """Peak memory of this process, kB; ``getrusage`` would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def moment() -> tuple[float, float]:
    """The clock and the seconds that the processors have worked for this process."""
    return time.perf_counter(), time.process_time()


def pieces(sound: np.ndarray, n_samples: int):
    """``sound`` over and over, ``n_samples`` in all, as a film's would come."""
    while n_samples > 0:
        yield sound[:n_samples]
        n_samples -= len(sound)


def measure(way: str, folder: str, sound: np.ndarray, seconds: float) -> dict:
    """Seconds and peak memory of one way there and back; runs in a process of its own."""
    import torch

    from giblet.audio.codecs import encodec  # noqa: F401 (memory is counted above the imports)
    from giblet.audio.codecs.codec import load_codec

    if "one thread" in way:
        torch.set_num_threads(1)
    before = peak_memory()
    codec = load_codec(folder, 6.0)
    codec.decode(codec.encode(sound[: 6 * codec.sample_rate]))  # warm
    n_samples = int(seconds * codec.sample_rate)
    start = moment()
    if way.startswith("giblet"):
        codes = codec.encode(pieces(sound, n_samples))
        middle = moment()
        for _block in codec.decode_blocks(codes):
            pass
    else:
        with torch.inference_mode():
            waveform = torch.from_numpy(np.resize(sound, n_samples))[None, None]
            encoded = codec.model.encode(waveform, bandwidth=6.0)
            middle = moment()
            codec.model.decode(encoded.audio_codes, encoded.audio_scales)
        codes = encoded.audio_codes[0, 0].numpy()
    spans = np.diff([start, middle, moment()], axis=0)  # encode, decode × clock, processor
    peak = peak_memory() - before
    np.save(Path(folder) / f"{way}.npy", codes)
    return {"clock": [*spans[:, 0]], "processor": [*spans[:, 1]], "mb": peak / 1024}


def floor(seconds: float) -> float:
    """Seconds that the network's multiplications need as one matrix product."""
    import torch

    a = torch.randn(2048, 2048)
    times = []
    for _ in range(8):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    return min(times) / 2048**3 * GMAC_PER_SECOND * 1e9 * seconds


def exactness(folder: Path, codec_folder: str, sound: np.ndarray, seconds: float) -> str:
    """How many codes differ from those of double precision, and how the latents are rounded."""
    import torch

    from giblet.audio.codecs.codec import load_codec
    from giblet.audio.codecs.encodec_streaming import stream

    codec = load_codec(codec_folder, 6.0)
    waveform = torch.from_numpy(np.resize(sound, 10 * codec.sample_rate))[:, None]
    with torch.inference_mode():
        latents = {
            "giblet": torch.cat([*stream(codec.model.encoder.layers, waveform.split(24000))]),
            "transformers": codec.model.encoder(waveform.T[None])[0].T,
        }
        double = replace(codec, model=codec.model.double())
        exact = codec.model.encoder(waveform.T[None].double())[0].T
    codes = double.encode(pieces(sound, int(seconds * codec.sample_rate)))
    lines = ["", "against double precision  codes that differ  relative error of 10 s of latents"]
    for way, rounded in latents.items():
        differ = (np.load(folder / f"{way}.npy") != codes).mean()
        error = float((rounded - exact).norm() / exact.norm())
        lines.append(f"{way:24}  {differ:18.4%}  {error:.1e}")
    return "\n".join(lines)


def run(way: str, arguments: list[str]) -> dict:
    environment = os.environ | (TUNABLES if "tunables" in way else {})
    command = [sys.executable, __file__, *arguments, "--only", way]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sound", default=str(files("giblet.demo") / "film.mp4"))
    parser.add_argument("--codec")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--ways", nargs="*", default=WAYS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from giblet.audio.files import read_sound

    sound = without_silence(read_sound(options.sound, 24000))
    if options.only:
        print(json.dumps(measure(options.only, options.codec, sound, options.seconds)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.codec:
            for file in Path(options.codec).iterdir():
                (Path(folder) / file.name).symlink_to(file.resolve())
        else:
            official_model(sound[: 60 * 24000]).save_pretrained(folder)
        arguments = ["--sound", options.sound, "--codec", folder, "--seconds", str(options.seconds)]
        titles = f"{'encode x':>9} {'decode x':>9} {'of floor':>11} {'processor s':>13} {'MB':>7}"
        print(f"{'way':24} {titles}")
        for way in options.ways:
            m, best = run(way, arguments), floor(options.seconds)
            speed = [options.seconds / clock for clock in m["clock"]]
            share = [best / clock for clock in m["clock"]]
            worked = m["processor"]
            print(
                f"{way:24} {speed[0]:9.1f} {speed[1]:9.1f} {share[0]:5.2f} {share[1]:5.2f} "
                f"{worked[0]:6.1f} {worked[1]:6.1f} {m['mb']:7.0f}",
                flush=True,
            )
        if {"giblet", "transformers"} <= set(options.ways):
            print(exactness(Path(folder), folder, sound, options.seconds))


if __name__ == "__main__":
    main()
