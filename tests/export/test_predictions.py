"""Predictions for a challenge are read back as the Algonauts 2025 kit and scoring program do.

Oracles: `numpy.load(..., allow_pickle=True).item()` and the scoring program's rules; the model's
own prediction of the same TRs; the names that NumPy 1 has.
"""

import pickletools
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from giblet.alignment.aligned import film_data, film_shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks, predict_bold
from giblet.brain.stimulus_clock import StimulusClock
from giblet.commands.export import export_predictions
from giblet.config.sections import ModelConfig
from giblet.errors import GibletError
from giblet.export.predictions import save_predictions
from giblet.io.arrays import save_arrays
from giblet.io.tables import save_table

T_R, N_PARCELS = 1.49, 1000
SUBJECTS = ["sub-01", "sub-02", "sub-03", "sub-05"]
CLOCK = StimulusClock.lay_out(["s01e02a", "s07e01a", "s07e01b"], [30.0, 15.0, 12.0], T_R)
SAMPLES = {
    "s07e01a": {"01": 10, "02": 9, "03": 12, "05": 10},
    "s07e01b": {"01": 8, "02": 8, "03": 7, "05": 11},
}
SMALL = ModelConfig(layout="flat", audio_dim=8, bottleneck_dim=16, decoder_dim=8, readout_rank=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model that nobody trained, of four SIMULATED people, and mel frames of three clips."""
    folder, rng = tmp_path_factory.mktemp("made"), np.random.default_rng(0)
    n_trs = CLOCK.n_film_trs
    mel = rng.normal(0, 1, (n_trs, 5, 6)).astype(np.float32)
    attrs = {"t_r": T_R, "encoding_mode": "mel", "codebook_size": 0}
    attrs |= {"frame_rate": 6 / T_R, "framing": "tr_synchronous", "volume_offset": T_R / 2}
    film = xr.Dataset({"audio": (("tr", "row", "frame"), mel)}, {"tr": np.arange(n_trs)}, attrs)
    save_arrays(film, folder / "mel.nc")
    trs = np.flatnonzero(CLOCK.stimulus_of_trs() == 0)
    part = np.array(["train"] * 12 + ["validation"] * 4 + ["test"] * 4)
    bold = rng.normal(0, 1, (4, len(trs), N_PARCELS)).astype(np.float32)
    regressors = rng.normal(0, 1, (4, len(trs), 3)).astype(np.float32)
    aligned = film.isel(tr=trs).assign(part=("tr", part), run=("tr", ["all runs"] * len(trs)))
    aligned = aligned.assign(
        bold=(("subject", "tr", "voxel"), bold),
        regressors=(("subject", "tr", "regressor"), regressors),
    ).assign_coords(
        subject=SUBJECTS, stimulus=("tr", ["s01e02a"] * len(trs)), column=("voxel", np.arange(1000))
    )
    aligned = aligned.assign_attrs(gap_trs=0)
    save_arrays(aligned, folder / "aligned.nc")
    torch.manual_seed(0)
    Autoencoder(film_shapes(aligned, "spm"), SMALL).save_pretrained(folder / "model")
    save_table(CLOCK.table(), folder / "stimuli.tsv")
    rows = [(s, clip, n) for clip, counts in SAMPLES.items() for s, n in counts.items()]
    clips = pd.DataFrame(rows, columns=["subject", "clip", "n_samples"])
    clips["stimulus"], clips["clip"] = clips["clip"], "friends_" + clips["clip"]
    save_table(clips, folder / "clips.tsv")
    return folder


def export_to(folder, predictions, **changes):
    names = {"aligned": "aligned.nc", "model": "model", "stimuli": "stimuli.tsv"}
    options = {name: folder / file for name, file in names.items()}
    options |= {"features": [folder / "mel.nc"], "clips": folder / "clips.tsv"}
    export_predictions(predictions=predictions, **options | changes)


def scored(path):
    """What the scoring program loads; it refuses all that is asserted here."""
    predicted = np.load(path, allow_pickle=True).item()
    assert isinstance(predicted, dict)
    assert set(predicted) >= set(SUBJECTS)
    for subject in SUBJECTS:
        counts = {f"friends_{clip}": n[subject[4:]] for clip, n in SAMPLES.items()}
        assert predicted[subject].keys() == counts.keys()
        for clip, data in predicted[subject].items():
            assert isinstance(data, np.ndarray)
            assert data.shape == (counts[clip], N_PARCELS)
            assert data.dtype == np.float32
            assert not np.isnan(data).any()
    return predicted


@pytest.mark.parametrize("ending", [".npy", ".zip"])
def test_the_scoring_program_reads_what_the_model_predicts(made, tmp_path, ending):
    path = tmp_path / f"fmri_predictions_friends_s7{ending}"
    export_to(made, path)
    if ending == ".zip":
        with zipfile.ZipFile(path) as archive:
            assert archive.namelist() == ["fmri_predictions_friends_s7.npy"]
            archive.extractall(tmp_path)
    predicted = scored(tmp_path / "fmri_predictions_friends_s7.npy")
    autoencoder = Autoencoder.from_pretrained(made / "model")
    film = xr.load_dataset(made / "mel.nc", engine="h5netcdf")
    for clip, first, n_trs in (("s07e01a", 22, 10), ("s07e01b", 34, 8)):
        trs = np.flatnonzero(CLOCK.stimulus_of_trs() == CLOCK.find(clip))
        assert (trs[0], len(trs)) == (first, n_trs)
        alone = film.isel(tr=trs).assign(part=("tr", ["x"] * n_trs), run=("tr", ["x"] * n_trs))
        data = film_data(alone)
        bold = predict_bold(autoencoder, bottlenecks(autoencoder, data), data.run)
        for n, subject in enumerate(SUBJECTS):
            ours = predicted[subject][f"friends_{clip}"]
            shared = min(len(ours), n_trs)  # the rest is the last TR again
            np.testing.assert_allclose(ours[:shared], bold[n, :shared], atol=1e-5)
    assert np.abs(predicted["sub-01"]["friends_s07e01a"]).max() > 1e-3
    longer, shorter = (predicted[s]["friends_s07e01a"] for s in ("sub-03", "sub-02"))
    assert (len(longer), len(shorter)) == (12, 9)


def test_files_name_nothing_that_numpy_1_lacks(tmp_path):
    """NumPy 2 pickles arrays as numpy._core.…, which is not in NumPy 1."""
    save_predictions({"sub-01": {"a": np.ones((2, 3), np.float32)}}, tmp_path / "a.npy")
    with (tmp_path / "a.npy").open("rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        texts = [text for code, text, _ in pickletools.genops(file) if "UNICODE" in code.name]
    assert (shape, dtype) == ((), np.dtype(object))
    assert {"numpy", "array", "ndarray"} <= set(texts)
    assert not [text for text in texts if "core" in text]
    one = np.load(tmp_path / "a.npy", allow_pickle=True).item()["sub-01"]["a"]
    assert type(one) is np.ndarray
    one[:] = 2  # as any other array


def table_with(**changes):
    row = {"subject": "sub-01", "clip": "s07e01a", "n_samples": 5} | changes
    return pd.DataFrame([row])


@pytest.mark.parametrize(
    ("clips", "line"),
    [
        (
            table_with(subject="sub-04"),
            r"row 1: the model does not know sub-04, but sub-01, sub-02",
        ),
        (table_with(clip="s07e01c"), r"row 1: no stimulus 's07e01c'; did you mean"),
        (table_with(n_samples=2.5), r"row 1: n_samples must be a whole number, is 2\.5"),
        (table_with(n_samples="many"), r"row 1: n_samples must be a whole number, is many"),
        (pd.concat([table_with()] * 2), r"two rows for sub-01, s07e01a"),
        (table_with().drop(columns="clip"), r"no column clip; it needs subject, clip"),
    ],
)
def test_a_wrong_table_of_clips_is_one_line(made, tmp_path, clips, line):
    save_table(clips, tmp_path / "clips.tsv")
    with pytest.raises(GibletError, match=line):
        export_to(made, tmp_path / "p.npy", clips=tmp_path / "clips.tsv")
    assert not (tmp_path / "p.npy").exists()


def test_what_does_not_fit_the_challenge_is_one_line(made, tmp_path):
    with pytest.raises(GibletError, match=r"predicts 1,000 parcels, and 400 are wanted: set"):
        export_to(made, tmp_path / "p.npy", n_parcels=400)
    with pytest.raises(GibletError, match=r"p\.pkl: predictions are written as \.npy or \.zip"):
        export_to(made, tmp_path / "p.pkl")
    film = xr.load_dataset(made / "mel.nc", engine="h5netcdf")
    save_arrays(film.isel(row=slice(3)), tmp_path / "other.nc")
    with pytest.raises(GibletError, match=r"audio is \(3, 6\) in a TR, the model was trained"):
        export_to(made, tmp_path / "p.npy", features=[tmp_path / "other.nc"])
    save_arrays(film.isel(tr=slice(25)), tmp_path / "short.nc")
    with pytest.raises(GibletError, match=r"the film has 25 TRs, but s07e01a ends at TR"):
        export_to(made, tmp_path / "p.npy", features=[tmp_path / "short.nc"])
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("p.")] == []
