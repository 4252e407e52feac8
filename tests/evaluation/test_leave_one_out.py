"""People whom the network never saw: it learns nothing of them, a linear read-out finds them.

Oracles: simulated BOLD that follows the film, or does not; scikit-learn; identities.
"""

import warnings
from functools import partial

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import ortho_group
from sklearn.linear_model import Ridge

from giblet.alignment.aligned import film_data, film_shapes
from giblet.alignment.dataset import split_film
from giblet.alignment.hrf import tr_kernel
from giblet.alignment.voxels import reliable_voxels
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import blurred_bottlenecks, bottlenecks
from giblet.commands.model import _train_others, leave_one_out as verb
from giblet.config.config import parse_config
from giblet.config.sections import ScanConfig, SplitConfig
from giblet.errors import GibletError
from giblet.evaluation.leave_one_out import (
    check_subjects,
    leave_one_out,
    make_readout,
    others_scores,
    subject_scores,
)
from giblet.evaluation.nulls import null_shifts
from giblet.evaluation.scores import bold_rows
from giblet.io.arrays import save_arrays
from giblet.io.paths import file_name
from giblet.io.tables import load_table
from giblet.stats.pearson import correlation
from giblet.stats.ridge import ridge_encoding, scale_by_training

N_TRS, T_R, N_MELS, N_VOXELS = 300, 1.5, 6, 30
HEAR = ["ann", "bo b", "cy"]
CONFIG = parse_config(
    {
        "model": {
            **{"layout": "flat", "start_from": "none", "audio_dim": 16, "bottleneck_dim": 24},
            **{"video_dim": 8, "text_dim": 8, "decoder_dim": 8, "readout_rank": 4},
        },
        "training": {"max_epochs": 1, "min_steps": 1, "window_trs": 40, "bfloat16": False},
        "decoding": {"clip_seconds": 4.5, "voxel_share": 0.4},
    }
)
METRICS = ["bold_r", "bold_r_reliable", "identification_2way", "bottleneck_r"]
METRICS.append("identification_10way")


@pytest.fixture
def aligned(rng):
    """A film in mel bands, three people who hear it in half of their voxels, one who does not."""
    happens = rng.standard_normal((N_TRS, 4))
    sound = (happens @ rng.standard_normal((4, 4 * N_MELS))).reshape(N_TRS, N_MELS, 4)
    heard = happens @ rng.standard_normal((4, N_VOXELS // 2))
    answer = lfilter(tr_kernel(T_R, 0.75), 1, heard, axis=0)
    bold = rng.standard_normal((4, N_TRS, N_VOXELS))
    bold[:3, :, : N_VOXELS // 2] *= 0.2
    bold[:3, :, : N_VOXELS // 2] += answer / answer.std()
    return xr.Dataset(
        {
            "audio": (("tr", "row", "frame"), (5 * sound - 40).astype(np.float32)),
            "bold": (("subject", "tr", "voxel"), bold),
            "regressors": (("subject", "tr", "regressor"), bold[..., :2]),
            "part": ("tr", split_film(N_TRS, T_R, SplitConfig(gap_seconds=12), has_bold=True)),
            "run": ("tr", np.repeat("run-1", N_TRS)),
        },
        coords={"subject": [*HEAR, "dee"], "tr": np.arange(N_TRS)},
        attrs={"t_r": T_R, "volume_offset": 0.75, "encoding_mode": "mel", "codebook_size": 0},
    )


def untrained(aligned, subject=""):
    """A network that knows no brain; its bottleneck still follows the film."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Autoencoder(film_shapes(aligned, "spm"), CONFIG.model).eval()


def own_bold(aligned, subject=0):
    return film_data(aligned).bold[subject].numpy()


def rows_of(aligned, train=untrained):
    rows = leave_one_out(aligned, untrained(aligned), train, CONFIG.decoding, seed=0)
    return {(row["subject"], row["metric"]): row for row in rows}


@pytest.mark.slow
def test_who_is_left_out_teaches_the_network_nothing(aligned, tmp_path):
    """Other BOLD, in other units, dead in a voxel: the same weights, and the same voxels."""
    train = partial(_train_others, config=CONFIG)
    learned = [{}, {}]

    def recorded(others, subject, place, folder):
        if subject not in ("ann", "bo b"):
            return untrained(others)
        model = train(others, subject, logs=folder)
        chosen = make_readout(model, others, CONFIG.decoding)
        learned[place][subject] = model.state_dict(), chosen.reliable, chosen.read
        return model

    spoilt = aligned.copy(deep=True)
    spoilt["bold"][1] = 99 * aligned["bold"].values[1, ::-1] + 999
    spoilt["bold"][1, :, 3] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and intervals
        for place, arrays in enumerate((aligned, spoilt)):
            rows_of(arrays, partial(recorded, place=place, folder=tmp_path / str(place)))
    for subject, same in [("bo b", True), ("ann", False)]:
        (weights, *voxels), (weights_too, *voxels_too) = (each[subject] for each in learned)
        readouts = [name for name in weights if "readouts" in name]
        assert len(readouts) == 2 * 3  # weight and bias of the three others
        assert all(torch.equal(weights[name], weights_too[name]) for name in weights) == same
        assert all(map(np.array_equal, voxels, voxels_too)) == same


def test_a_brain_that_follows_the_film_is_read_and_another_is_not(aligned):
    rows = rows_of(aligned)
    for metric, chance in [("identification_2way", 0.5), ("identification_10way", 0.1)]:
        for subject in HEAR:
            row = rows[subject, metric]
            assert row["left_out"] > chance + 0.2, metric
            assert abs(row["shuffled"] - chance) < 0.1, metric
        assert abs(rows["dee", metric]["left_out"] - chance) < 0.1, metric
    r = {subject: rows[subject, "bold_r_reliable"]["left_out"] for subject in (*HEAR, "dee")}
    assert min(r[subject] for subject in HEAR) > 0.8
    assert abs(r["dee"]) < 0.3  # 60 TRs, smooth, few voxels
    everyone = np.mean([rows[s, "bold_r"]["left_out"] for s in (*HEAR, "dee")])
    assert rows["all", "bold_r"]["left_out"] == pytest.approx(everyone)
    assert {metric for _, metric in rows} == set(METRICS)


def test_within_is_what_the_score_table_has(aligned):
    """Means as the score table has them, of plain ridge; one network twice differs in nothing."""
    rows, data, model = rows_of(aligned), film_data(aligned), untrained(aligned)
    train, test, bold = data.where("train"), data.where("test"), data.bold.numpy()
    blurred = blurred_bottlenecks(model, bottlenecks(model, data), data.run)
    predicted = np.stack([ridge_encoding(blurred, one, train, test) for one in bold])
    reliable = reliable_voxels(bold[:, train])
    r = np.stack([correlation(p, one[test]) for p, one in zip(predicted, bold, strict=True)])
    for expected in bold_rows("encoding", r, reliable, seed=0):
        found = rows["all", expected["metric"]]["within"]
        assert found == pytest.approx(expected["value"], abs=1e-5)
    same = rows_of(aligned, lambda *_: model)
    for subject in (*HEAR, "dee", "all"):
        change = [same[subject, "bold_r"][key] for key in ("difference", "low", "high")]
        assert change == [0, 0, 0]


def test_shuffled_bold_is_predicted_from_other_moments(aligned):
    """Oracle: correlations of what was predicted for other moments, by NumPy; mean over shifts."""
    data, model, bold = film_data(aligned), untrained(aligned), own_bold(aligned)
    train, test = data.where("train"), data.where("test")
    readout = make_readout(model, aligned, CONFIG.decoding)
    true, shuffled = subject_scores(readout, bold, T_R, CONFIG.decoding)
    blurred = blurred_bottlenecks(model, bottlenecks(model, data), data.run)
    predicted = ridge_encoding(blurred, bold, train, test)
    shifts = null_shifts(len(test), T_R, 0, 20)
    assert len(shifts) == 20
    elsewhere = [np.concatenate([predicted[-k:], predicted[:-k]]) for k in shifts]
    r = [np.corrcoef(e[:, v], bold[test, v])[0, 1] for e in elsewhere for v in range(N_VOXELS)]
    assert shuffled["bold_r"].mean() == pytest.approx(np.mean(r), abs=1e-5)
    assert true["bold_r_reliable"].mean() > shuffled["bold_r_reliable"].mean() + 0.5


def test_the_readout_is_ridge_on_training_trs_alone(aligned):
    data, model = film_data(aligned), untrained(aligned)
    train, test, bold = data.where("train"), data.where("test"), own_bold(aligned)
    readout = make_readout(model, aligned, CONFIG.decoding)

    def bold_r(bold):
        return subject_scores(readout, bold, T_R, CONFIG.decoding)[0]["bold_r"]

    hidden, opposite = bold.copy(), bold.copy()
    hidden[np.isin(data.part, ["gap", "validation"])] = 99.0
    opposite[test] *= -1
    found = bold_r(bold)
    np.testing.assert_array_equal(bold_r(hidden), found)
    np.testing.assert_allclose(bold_r(opposite), -found, atol=1e-6)  # predicted as before
    code = bottlenecks(model, data)
    x = scale_by_training(lfilter(model.decoders["bold"].kernel.detach(), 1, code, axis=0), train)
    one = np.repeat(bold[:, :1], N_VOXELS, axis=1)  # voxels alike, for one penalty
    fits = [Ridge(a).fit(x[train], one[train, 0]).predict(x[test]) for a in np.logspace(0, 7, 15)]
    expected = [np.corrcoef(fit, one[test, 0])[0, 1] for fit in fits]
    assert np.abs(expected - bold_r(one).mean()).min() < 1e-3


def test_voxels_are_chosen_without_who_is_left_out(aligned):
    """Of two, the other agrees with nobody: then all voxels are reliable, and all are read."""
    others = aligned.isel(subject=[0])
    readout = make_readout(untrained(others), others, CONFIG.decoding)
    assert len(readout.reliable) == len(readout.read) == N_VOXELS
    rows = rows_of(aligned.isel(subject=[0, 1]))
    reliable, every = (rows["ann", metric] for metric in ("bold_r_reliable", "bold_r"))
    assert reliable["left_out"] == pytest.approx(every["left_out"])
    assert reliable["within"] > every["within"] + 0.2


def test_nobody_to_leave_out_is_said(aligned):
    with pytest.raises(GibletError, match="two subjects or more, and there is ann alone"):
        check_subjects(aligned.isel(subject=[0]))
    with pytest.raises(GibletError, match="two subjects or more, and there is none"):
        check_subjects(aligned.drop_vars("bold"))


def test_the_verb_writes_a_table_and_leaves_its_curves(aligned, tmp_path, caplog):
    pair = aligned.isel(subject=[0, 1]).assign_attrs(n_columns=99)
    save_arrays(pair, tmp_path / "aligned.nc")
    untrained(pair).save_pretrained(tmp_path / "model")
    paths = {name: tmp_path / name for name in ("model", "logs")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and intervals
        options = {"aligned": tmp_path / "aligned.nc", "scores": tmp_path / "out" / "mel.tsv"}
        verb(**paths, **options, config=CONFIG)
    assert [m for m in caplog.messages if "helped to choose the 30 of 99 voxels" in m]
    table = load_table(tmp_path / "out" / "mel.tsv")
    assert list(table) == [
        *("subject", "metric", "within", "left_out", "shuffled", "difference", "low", "high"),
        *("others", "others_shuffled"),
    ]
    assert table.groupby("subject")["metric"].apply(set).to_dict() == {
        subject: set(METRICS) for subject in ("ann", "bo b", "all")
    }
    change = table["left_out"] - table["within"]
    np.testing.assert_allclose(change, table["difference"], atol=2e-6)  # as printed
    assert {folder.name for folder in (tmp_path / "logs").iterdir()} == {"ann", file_name("bo b")}
    assert len(list(tmp_path.glob("logs/*/curves/*/metrics.csv"))) == 2
    assert not list(tmp_path.glob("logs/**/*.ckpt"))


def test_a_decoder_of_others_reads_who_follows_the_film(aligned):
    """Of people with voxels of their own: only in a common space, and not who hears nothing."""
    turns = ortho_group.rvs(N_VOXELS // 2, size=4, random_state=3)
    mixed = aligned.copy(deep=True)
    heard = mixed["bold"].values[..., : N_VOXELS // 2]
    heard[:] = np.einsum("stv,svw->stw", heard, turns)
    mixed["bold"].values[..., N_VOXELS // 2 :] = 0.0  # voxels are then chosen alike
    decoding = CONFIG.decoding.model_copy(update={"voxel_share": 0.5})
    shares = {}
    for method in ("none", "srm"):
        scan = ScanConfig(alignment=method, alignment_features=4)
        for subject, name in ((0, "ann"), (3, "dee")):
            others = mixed.isel(subject=[k for k in range(4) if k not in (subject, 3)])
            readout = make_readout(untrained(others), others, decoding)
            bold = own_bold(mixed, subject)
            true, null = others_scores(readout, bold, T_R, decoding, scan)
            shares[method, name] = true["identification_2way"].mean()
            assert abs(null["identification_2way"].mean() - 0.5) < 0.1
    assert shares["srm", "ann"] > shares["none", "ann"] + 0.2
    assert abs(shares["srm", "dee"] - 0.5) < 0.15
