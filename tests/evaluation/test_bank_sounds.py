"""A folder of sounds as a bank: what is read, left out and refused. A small model on mel."""

import numpy as np
import pytest
from factories import slot_model, small_shapes

from giblet.audio.files import write_sound
from giblet.audio.mel import MelSettings
from giblet.audio.processor import AudioProcessor
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.prior import PriorConfig
from giblet.errors import GibletError
from giblet.evaluation.bank_sounds import bank_of_folder


@pytest.fixture(scope="module")
def processor():
    return AudioProcessor(use_encodec=False, mel=MelSettings(n_mels=20))


@pytest.fixture(scope="module")
def model(processor):
    n_frames = processor.clock.frames_per_tr
    sizes = {"n_rows": 20, "frames_per_tr": n_frames, "codebook_size": 0, "codebook_dim": 0}
    shapes = small_shapes(use_encodec=False, video=None, n_text=None, **sizes)
    return Autoencoder(shapes, slot_model())


@pytest.fixture
def folder(tmp_path, rng):
    (tmp_path / "notes.txt").write_text("no sound")
    for name, seconds in (("long.wav", 7.6), ("short.wav", 2.0)):
        noise = rng.standard_normal(int(seconds * 24000)).astype(np.float32)
        write_sound(tmp_path / name, 0.1 * noise, 24000)
    return tmp_path


def test_sounds_are_read_and_the_others_are_left_out_in_a_line(folder, processor, model, caplog):
    bank, record = bank_of_folder(folder, processor, model, PriorConfig())
    assert set(bank.source) == set(record.sounds) == {"long.wav"}
    assert bank.onset.tolist() == [0, 1.5, 3, 4.5, 6]
    assert bank.bottleneck.shape[0] == 5
    assert f"folder {folder.name}, 1 sounds, " in bank.name
    left_out = [r.message for r in caplog.records if "left out" in r.message]
    assert len(left_out) == 2
    assert any("short.wav has fewer than 3 s" in line for line in left_out)


def test_a_folder_of_no_usable_sound_is_refused(folder, processor, model):
    (folder / "long.wav").unlink()
    with pytest.raises(GibletError, match=r"no usable sound in it: none of 2 files"):
        bank_of_folder(folder, processor, model, PriorConfig())
