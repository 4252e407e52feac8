"""Any sounds as training data: the processor's own TRs, each sound in its part alone."""

import numpy as np
import pytest
import soundfile
import torch

from giblet.alignment.dataset import check_no_overlap, windows
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.pretraining import sound_data, sound_shapes
from giblet.errors import GibletError

RATE, T_R = 24000, 1.5


@pytest.fixture(scope="module")
def processor():
    return AudioProcessor(use_encodec=False, t_r=T_R)  # the mel path is quick


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Chirps: 4.7 s and 3.2 s (in a folder) to train on, 3.3 s to validate; 1.4 s is too short."""
    root = tmp_path_factory.mktemp("sounds")
    sounds = {"train/a.wav": 4.7, "train/more/a.flac": 3.2, "train/short.wav": 1.4}
    for number, (name, seconds) in enumerate((sounds | {"validation/c.wav": 3.3}).items()):
        times = np.arange(round(seconds * RATE)) / RATE
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        chirp = np.sin(2 * np.pi * (200 + 300 * number + 400 * times) * times)
        soundfile.write(root / name, 0.3 * chirp, RATE)
    (root / "train" / ".hidden.wav").write_text("no sound")
    return {part: root / part for part in ("train", "validation")}


@pytest.fixture(scope="module")
def data(folders, processor):
    return sound_data(folders, processor, seed=0)


def as_set(trs):
    return {tr.tobytes() for tr in np.asarray(trs)}


def test_trs_are_what_the_processor_gives_at_four_places(data, folders, processor):
    """The first cut is the processor's own; others begin a quarter of a TR further on each."""
    train = data.film["audio"][data.where("train")].numpy()
    expected, per_tr = [], processor.clock.frames_per_tr
    for name in ("a.wav", "more/a.flac"):
        features, _table = processor.audio_to_features(folders["train"] / name)
        stream, n_trs = features.swapaxes(0, 1).reshape(features.shape[1], -1), len(features)
        for shift in range(0, per_tr, -(-per_tr // 4)):
            n = n_trs - (shift > 0)
            expected += np.split(stream[:, shift : shift + n * per_tr], n, axis=1)
    assert len(train) == len(expected) == (3 + 2 + 2 + 2) + (2 + 1 + 1 + 1)
    assert as_set(train) == as_set(np.stack(expected))
    validation = data.film["audio"][data.where("validation")].numpy()
    heard, _table = processor.audio_to_features(folders["validation"] / "c.wav")
    assert len(validation) == len(heard)
    assert as_set(validation) == as_set(heard)


def test_parts_share_no_sound_and_no_window(data):
    train, validation = (data.film["audio"][data.where(p)] for p in ("train", "validation"))
    assert not as_set(train) & as_set(validation)
    check_no_overlap(data, gap_trs=1)
    for part in ("train", "validation"):
        for trs in windows(data, part, n_trs=3, step=1):
            assert set(data.part[trs]) == {part}
    assert not torch.isfinite(data.film["audio"][data.where("gap")]).any()


def test_the_order_is_the_seeds_own(data, folders, processor):
    again, other = (sound_data(folders, processor, seed) for seed in (0, 1))
    assert torch.equal(again.film["audio"].nan_to_num(), data.film["audio"].nan_to_num())
    assert not torch.equal(other.film["audio"].nan_to_num(), data.film["audio"].nan_to_num())


def test_shapes_are_the_processors(data, processor):
    shapes = sound_shapes(processor, data)
    assert (shapes.use_encodec, shapes.n_rows) == (False, processor.mel.n_mels)
    assert shapes.frames_per_tr == processor.clock.frames_per_tr
    assert (shapes.codebook_size, shapes.subjects, shapes.video) == (0, (), None)


def test_codes_say_what_their_codec_is(folders):
    spoken = AudioProcessor(t_r=T_R)
    data = sound_data({"validation": folders["validation"]}, spoken, seed=0)
    shapes = sound_shapes(spoken, data)
    found = (shapes.n_rows, shapes.frames_per_tr, shapes.codebook_size, shapes.codebook_dim)
    assert found == (8, 112, 1024, spoken.codec.codebook_dim)
    heard, _table = spoken.audio_to_features(folders["validation"] / "c.wav")
    trs = data.film["audio"][data.where("validation")].numpy()
    assert as_set(trs) == as_set(heard)
    assert (data.film["audio"][data.where("gap")] == -1).all()


def test_a_folder_without_sounds_is_named(folders, processor, tmp_path):
    with pytest.raises(GibletError, match=f"{tmp_path}: no sound in it is as long as a TR"):
        sound_data({"train": tmp_path}, processor, seed=0)
    (tmp_path / "brief.wav").write_bytes((folders["train"] / "short.wav").read_bytes())
    with pytest.raises(GibletError, match=f"{tmp_path}: no sound in it is as long as a TR"):
        sound_data({"train": tmp_path}, processor, seed=0)
