"""Versions, the machine, and the codecs at hand."""

import json
import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from giblet.audio.codecs.codec import BUNDLED, codec_folder

PACKAGES = ("giblet", "torch", "snakemake", "transformers", "lightning", "nilearn", "himalaya")


def describe_machine(folder: Path = Path()) -> list[str]:
    """Lines about versions, processors, memory, the disk of ``folder``, the GPU, and codecs."""
    return [
        f"python       {platform.python_version()} on {platform.system()} {platform.machine()}",
        *(f"{name:<13}{installed_version(name)}" for name in PACKAGES),
        f"FFmpeg       {_ffmpeg()}",
        f"processors   {n_processors()}",
        f"memory       {memory_mb() / 1000:.1f} GB",
        f"free disk    {free_disk_mb(folder) / 1000:.1f} GB ({folder.resolve()})",
        f"GPU          {_gpu()}",
        "codecs that can be loaded",
        *(f"    {line}" for line in codec_types()),
        "codecs at hand",
        *(f"    {line}" for line in [_codec_line(codec_folder(BUNDLED), BUNDLED), *hub_codecs()]),
    ]


def installed_version(name: str) -> str:
    """A package's version, or that it is missing.

    >>> installed_version("no-such-package")
    'not installed'
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def n_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on a Mac
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_mb() -> float:
    """The machine's memory, MB."""
    import psutil

    return psutil.virtual_memory().total / 1e6


def free_disk_mb(folder: Path = Path()) -> float:
    """Free space on the disk of ``folder``, MB."""
    return shutil.disk_usage(folder).free / 1e6


def _ffmpeg() -> str:
    """Of the libraries that PyAV brings."""
    import av

    wanted = ("libavcodec", "libavformat", "libswscale")
    libraries = {name: ".".join(map(str, av.library_versions[name])) for name in wanted}
    listed = ", ".join(f"{name} {number}" for name, number in libraries.items())
    return f"{listed} (PyAV {av.__version__})"


def _gpu() -> str:
    import torch

    if not torch.cuda.is_available():
        return "none"
    return ", ".join(torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count()))


def codec_types() -> list[str]:
    """A line for each kind of codec that `giblet.audio.load_codec` takes."""
    from giblet.audio.codecs.registry import CODEC_TYPES

    return [f"{model_type}: {kind.label}" for model_type, kind in CODEC_TYPES.items()]


def hub_codecs(cache: Path | None = None) -> list[str]:
    """A line for each codec in the Hugging Face cache (or in another cache folder)."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    from giblet.audio.codecs.registry import CODEC_TYPES

    try:
        repos = scan_cache_dir(cache).repos
    except (CacheNotFound, ValueError):
        repos = []
    revisions = {repo.repo_id: revision for repo in repos for revision in repo.revisions}
    lines = [
        _codec_line(revision.snapshot_path, f"{name}@{revision.commit_hash}")
        for name, revision in sorted(revisions.items())
        if _config(revision.snapshot_path).get("model_type") in CODEC_TYPES
    ]
    return lines or ["none in the Hugging Face cache"]


def _config(folder: Path) -> dict:
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _codec_line(folder: Path, name: str) -> str:
    """
    >>> _codec_line(codec_folder(BUNDLED), BUNDLED)
    'bundled: giblet_mdct, 24000 Hz, 8 codebooks'
    """
    config = _config(folder)
    if "target_bandwidths" in config:
        offered = f"{' '.join(f'{kbps:g}' for kbps in config['target_bandwidths'])} kbps"
    elif "compression" in config:
        offered = f"levels of {' '.join(map(str, config['compression']))} samples"
    elif "quantization_levels" in config:
        offered = f"digits of {' '.join(map(str, config['quantization_levels']))} levels"
    else:
        offered = f"{config.get('n_codebooks', config.get('num_quantizers'))} codebooks"
    names = ("sampling_rate", "sample_rate", "output_sampling_rate")
    rate = next((config[name] for name in names if name in config), None)
    return f"{name}: {config['model_type']}, {rate} Hz, {offered}"
