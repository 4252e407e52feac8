"""Codes and scores with libraries restricted to the instructions of older processors.

python benchmarks/other_cpu.py --sounds FOLDER [--trs 60]: real sound, 15 s of every ninth file; the
bundled film's first TRs through `reconstruct_audio`, with SIMULATED brains. Prints how many codes
differ, and by how much scores differ, from those with all instructions of this processor.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).parents[1]
AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"
CPUS = {
    "as it is": {},
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": AVX512,
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "SSE4.2": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "NPY_DISABLE_CPU_FEATURES": AVX512,
        "OPENBLAS_CORETYPE": "Nehalem",
    },
}
ENCODE = """
import sys
import numpy as np
from giblet.audio.codecs.codec import load_codec
from giblet.audio.files import read_sound
codec = load_codec("bundled", 6.0)
sounds = (read_sound(file, codec.sample_rate) for file in sys.argv[2:])
codes = {str(i): codec.encode(s[: 15 * codec.sample_rate]) for i, s in enumerate(sounds)}
np.savez(sys.argv[1], **codes)
"""


def codes(environment: dict, files: list[Path], folder: Path) -> np.ndarray:
    """Codes of all files, concatenated: (n_codebooks, n_frames)."""
    command = [sys.executable, "-c", ENCODE, folder / "codes.npz", *files]
    subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True)
    found = np.load(folder / "codes.npz")
    return np.concatenate([found[name] for name in found.files], axis=1)


def scores(environment: dict, n_trs: int, folder: Path) -> pd.DataFrame:
    """Table of scores of a short film; one thread, as other libraries split sums by threads."""
    settings = {"max_trs": n_trs, "splits": {"gap_seconds": 6}, "training": {"max_epochs": 3}}
    (folder / "config.yaml").write_text(yaml.safe_dump(settings | {"video": {"height": 20}}))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", folder / "config.yaml"]
    subprocess.run(list(map(str, command)), env=environment, check=True, capture_output=True)
    return pd.read_csv(folder / "results/demo/scores.tsv", sep="\t")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sounds", type=Path, required=True)
    parser.add_argument("--trs", type=int, default=60)
    given = parser.parse_args()
    kinds = (".wav", ".flac", ".mp3", ".ogg")
    files = sorted(f for f in given.sounds.rglob("*") if f.suffix in kinds)[::9]
    found = {}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for name, limits in CPUS.items():
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | limits | {"PATH": path}
            table = scores(environment, given.trs, Path(folder))
            found[name] = codes(environment, files, Path(folder)), table
        if not limits:
            continue  # what the others are compared with
        (expected, reference), (mine, table) = found["as it is"], found[name]
        n_frames = (mine != expected).any(axis=0).sum()
        print(f"{name}: {(mine != expected).sum()} of {mine.size} codes, {n_frames} frames differ")
        keys = ["path", "column", "metric"]
        both = table.merge(reference, on=keys, suffixes=("", "_here"))
        both["difference"] = (both["value"] - both["value_here"]).abs()
        both["brain"] = both["column"].str.startswith("brain")
        largest = both.groupby(["metric", "brain"])["difference"].max().unstack()
        print(largest.to_string(float_format="%.2g"), flush=True)


if __name__ == "__main__":
    main()
