"""Small valid files of every kind that giblet reads, made by code; the corpus damages them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

T_R, N_VOLUMES, N_PARCELS = 1.5, 60, 6
SPACE = "_space-MNI152NLin2009cAsym"


def tone(seconds: float, sample_rate: int = 8000) -> np.ndarray:
    """A tone that swells and fades, (n_samples,) float32."""
    time = np.arange(int(seconds * sample_rate)) / sample_rate
    return (0.3 * np.sin(2 * np.pi * 440 * time) * np.sin(time) ** 2).astype(np.float32)


# ---- films ---------------------------------------------------------------------------------------


def film(path: Path, sound: str, pictures: str | None = None, seconds: float = 4.0) -> None:
    """A film, or without ``pictures`` (a codec's name) a sound file."""
    import av

    rate = 48000 if sound == "libopus" else 8000
    with av.open(str(path), "w") as container:
        screen = container.add_stream(pictures, rate=10) if pictures else None
        if screen:
            screen.width, screen.height, screen.pix_fmt = 32, 24, "yuv420p"
        track = container.add_stream(sound, rate=rate, layout="mono")
        for shade in range(int(10 * seconds) if screen else 0):
            picture = np.full((24, 32, 3), shade % 256, dtype=np.uint8)
            container.mux(screen.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        frame = av.AudioFrame.from_ndarray(tone(seconds, rate)[None], format="fltp", layout="mono")
        frame.sample_rate = rate
        converter = av.AudioResampler(format=track.format, layout="mono", rate=rate)
        for piece in converter.resample(frame):
            container.mux(track.encode(piece))
        for stream in filter(None, (track, screen)):
            container.mux(stream.encode(None))


FILMS: dict[str, Callable[[Path], None]] = {
    "film.wav": lambda path: film(path, "pcm_s16le"),
    "film.flac": lambda path: film(path, "flac"),
    "film.mp3": lambda path: film(path, "libmp3lame"),
    "film.opus": lambda path: film(path, "libopus"),
    "film.mp4": lambda path: film(path, "aac", "mpeg4"),
    "film.mkv": lambda path: film(path, "libopus", "mpeg4"),
    "film.avi": lambda path: film(path, "pcm_s16le", "mpeg4"),
}

# ---- scans ---------------------------------------------------------------------------------------


def series(n_columns: int = N_PARCELS, seed: int = 0) -> np.ndarray:
    """(n_volumes, n_columns) float32: noise, whose values nothing depends on."""
    noise = np.random.default_rng(seed).normal(100, 5, (N_VOLUMES, n_columns))
    return noise.astype(np.float32)


def image(path: Path) -> None:
    import nibabel

    voxels = series(4 * 4 * 3).T.reshape(4, 4, 3, N_VOLUMES)
    nibabel.Nifti1Image(voxels, np.eye(4)).to_filename(path)


def mask(path: Path) -> None:
    import nibabel

    nibabel.Nifti1Image(np.ones((4, 4, 3), np.uint8), np.eye(4)).to_filename(path)


def labels(path: Path) -> None:
    import nibabel

    atlas = np.repeat(np.arange(1, 4, dtype=np.int16), 16).reshape(3, 4, 4).transpose(1, 2, 0)
    nibabel.Nifti1Image(atlas, np.eye(4)).to_filename(path)


def greyordinates(path: Path) -> None:
    from nibabel import cifti2

    brain = cifti2.BrainModelAxis.from_mask(np.ones(N_PARCELS), name="cortex_left")
    if ".ptseries." in path.name:
        parts = [(f"parcel {n}", brain[n : n + 1]) for n in range(N_PARCELS)]
        brain = cifti2.ParcelsAxis.from_brain_models(parts)
    time = cifti2.SeriesAxis(0, T_R, N_VOLUMES)
    cifti2.Cifti2Image(series(), header=(time, brain)).to_filename(path)


def surface(path: Path) -> None:
    import nibabel

    arrays = [nibabel.gifti.GiftiDataArray(volume) for volume in series()]
    nibabel.gifti.GiftiImage(darrays=arrays).to_filename(path)


def table(path: Path) -> None:
    import pandas as pd

    names = [f"parcel_{n}" for n in range(N_PARCELS)]
    separator = "," if path.suffix == ".csv" else "\t"
    pd.DataFrame(series(), columns=names).to_csv(path, sep=separator, index=False)


def confounds(path: Path) -> None:
    rows = np.random.default_rng(1).normal(0, 0.01, (N_VOLUMES, 2))
    np.savetxt(path, rows, fmt="%.5f", delimiter="\t", header="csf\twhite_matter", comments="")


def hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file["series"] = series()


SCANS: dict[str, Callable[[Path], None]] = {
    "bold.nii.gz": image,
    "bold.nii": image,
    "bold.dtseries.nii": greyordinates,
    "bold.ptseries.nii": greyordinates,
    "bold.func.gii": surface,
    "bold.npy": lambda path: np.save(path, series()),
    "bold.h5": hdf5,
    "bold.txt": lambda path: np.savetxt(path, series(), fmt="%.3f"),
    "bold.tsv": table,
    "bold.csv": table,
}


def run_table(path: Path, file: str, **more: str) -> None:
    """The table that names one run; an image of voxels has its mask beside it."""
    row = {"subject": "01", "file": file, "t_r": str(T_R), "film_onset": "0"} | more
    if file.startswith("bold.nii"):
        row["mask"] = "mask.nii.gz"
    path.write_text("\t".join(row) + "\n" + "\t".join(row.values()) + "\n")


def bids(folder: Path) -> None:
    """One run of one subject, as fMRIPrep leaves it."""
    func = folder / "sub-01" / "func"
    func.mkdir(parents=True)
    run = func / "sub-01_task-film"
    image(Path(f"{run}{SPACE}_desc-preproc_bold.nii.gz"))
    mask(Path(f"{run}{SPACE}_desc-brain_mask.nii.gz"))
    sidecar = {"RepetitionTime": T_R, "StartTime": 0.5}
    Path(f"{run}{SPACE}_desc-preproc_bold.json").write_text(json.dumps(sidecar))
    moved = np.random.default_rng(0).normal(0, 0.01, (N_VOLUMES, 6))
    names = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
    rows = ["\t".join(names), *("\t".join(f"{value:.5f}" for value in row) for row in moved)]
    Path(f"{run}_desc-confounds_timeseries.tsv").write_text("\n".join(rows) + "\n")
    events = "onset\tduration\tstim_file\n0\t80\tfilm.mp4\n"
    Path(f"{run}_events.tsv").write_text(events)
    made = {"Name": "seed", "BIDSVersion": "1.8.0", "GeneratedBy": [{"Name": "seed"}]}
    (folder / "dataset_description.json").write_text(json.dumps(made))


BIDS_FILES = {
    "sidecar": f"sub-01/func/sub-01_task-film{SPACE}_desc-preproc_bold.json",
    "events": "sub-01/func/sub-01_task-film_events.tsv",
    "confounds": "sub-01/func/sub-01_task-film_desc-confounds_timeseries.tsv",
    "description": "dataset_description.json",
}

# ---- words ---------------------------------------------------------------------------------------

SAID = [(0.5, 1.0, "Good morning"), (2.0, 1.5, "Märchen, 映画"), (4.0, 1.0, "said nobody")]
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 5
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 2.5
            text = "Good morning"
        intervals [2]:
            xmin = 2.5
            xmax = 5
            text = "nobody"
"""


def said(path: Path) -> None:
    import pandas as pd

    rows = pd.DataFrame(SAID, columns=["onset", "duration", "text"])
    if path.suffix == ".xlsx":
        rows.to_excel(path, index=False)
    else:
        rows.to_csv(path, sep="," if path.suffix == ".csv" else "\t", index=False)


def subtitles(path: Path) -> None:
    point, head = (",", "") if path.suffix == ".srt" else (".", "WEBVTT\n\n")
    blocks = [
        f"{n}\n00:00:{begin:06.3f} --> 00:00:{begin + lasts:06.3f}\n{text}\n".replace(".", point)
        for n, (begin, lasts, text) in enumerate(SAID, 1)
    ]
    path.write_text(head + "\n".join(blocks))


WORDS: dict[str, Callable[[Path], None]] = {
    "said.tsv": said,
    "said.csv": said,
    "said.xlsx": said,
    "said.TextGrid": lambda path: path.write_text(TEXTGRID) and None,
    "said.srt": subtitles,
    "said.vtt": subtitles,
}

# ---- settings ------------------------------------------------------------------------------------

CONFIG = """dataset: mine
film: film.wav
annotations: none
bold: none
t_r: 0.2
mel: {n_mels: 40}
splits:
  test: 0.2
  test_runs: [run-1, run-2]
words:
  text_columns: [text, "Wörter"]
"""
RECIPE = """network:
  architecture: mdct
optimisation:
  seconds: 1.0
"""
