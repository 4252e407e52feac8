"""Folders of MIDI files, and crops of their pieces."""

import numpy as np
import pytest
import torch
from music.pieces import broken_chords
from torch.utils.data import DataLoader

from giblet.errors import GibletError
from giblet.music.data import RandomCrops, augmented
from giblet.music.folders import read_folder
from giblet.music.inputs import crop, encoded, next_positions
from giblet.music.midi import write_midi
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.recipe import DataSettings
from giblet.music.tokens import VOCABULARY, token_seconds, tokenize

PLAIN = DataSettings(
    crop_tokens=32, batch_size=3, transpose=0, velocity=0, stretch=0, without_beats=0
)


def test_a_folder_has_what_fits_and_why_the_rest_does_not(tmp_path):
    (tmp_path / "inside").mkdir()
    write_midi(broken_chords(0), tmp_path / "inside" / "a.mid")
    write_midi(broken_chords(1), tmp_path / "b.MID")
    (tmp_path / "c.mid").write_bytes(b"no midi")
    (tmp_path / "d.txt").write_text("not looked at")
    (tmp_path / ".hidden.mid").write_bytes(b"not looked at")
    found = read_folder(tmp_path)
    assert list(found.pieces) == ["b.MID", "inside/a.mid"]
    assert list(found.left_out) == ["c.mid"]
    assert found.summary.startswith(f"{tmp_path}: 2 of 3 MIDI files fit; left out: c.mid: ")


def test_a_folder_with_nothing_that_fits_is_one_line(tmp_path):
    with pytest.raises(GibletError, match="no such folder"):
        read_folder(tmp_path / "gone")
    with pytest.raises(GibletError, match="no MIDI files"):
        read_folder(tmp_path)
    for i in range(5):
        (tmp_path / f"{i}.mid").write_bytes(b"no midi")
    with pytest.raises(GibletError, match=r"0 of 5 MIDI files fit; left out: 0.mid.*and 2 more$"):
        read_folder(tmp_path)


def test_positions_are_those_of_the_tokens_to_predict():
    notes = broken_chords(0)
    tokens = tokenize(notes)
    seconds, phases = next_positions(tokens, notes.beats, float(notes.onset[0]))
    np.testing.assert_array_equal(seconds[:-1], token_seconds(tokens))
    assert seconds[-1] == pytest.approx(notes.end)
    np.testing.assert_allclose(phases[:-1], notes.beats.phases(seconds[:-1]), atol=1e-6)
    piece = encoded(notes)
    assert piece["inputs"][0] == VOCABULARY.bos
    assert piece["targets"][-1] == VOCABULARY.eos
    assert torch.equal(piece["inputs"][1:], piece["targets"][:-1])
    assert torch.equal(piece["targets"][:-1], torch.from_numpy(tokens).long())


def test_a_crop_is_padded_behind():
    piece = encoded(broken_chords(0, n_bars=1))
    n = len(piece["inputs"])
    padded = crop(piece, slice(5, n), n)
    assert torch.equal(padded["targets"][: n - 5], piece["targets"][5:])
    assert (padded["targets"][n - 5 :] == VOCABULARY.pad).all()
    assert {len(values) for name, values in padded.items() if name != "origin"} == {n}
    assert padded["phases"].shape == (n, 2)
    assert padded["origin"] == piece["seconds"][5]
    assert (padded["seconds"].diff() >= 0).all()


def test_padding_changes_nothing():
    piece = encoded(broken_chords(0, n_bars=8))
    n = len(piece["inputs"])
    model = MusicTransformerVAEGAN({"transformer": {"width": 16, "n_heads": 2, "n_layers": 2}})
    with torch.no_grad():
        whole = model({name: values[None] for name, values in piece.items()})
        padded = crop(piece, slice(0, n), n + 300)  # more than a window of attention
        hidden = model({name: values[None] for name, values in padded.items()})
    assert torch.isfinite(hidden).all()
    torch.testing.assert_close(hidden[:, :n], whole)


@pytest.mark.parametrize("truncation", ["random", "head", "sliding", "adaptive"])
def test_crops_are_windows_of_the_pieces(truncation):
    pieces = [broken_chords(seed) for seed in range(2)]
    settings = PLAIN.model_copy(update={"truncation": truncation})
    wholes = [encoded(notes)["targets"].tolist() for notes in pieces]
    for batch in zip(range(4), DataLoader(RandomCrops(pieces, settings, 0), 3), strict=False):
        for targets in batch[1]["targets"].tolist():
            cut = [t for t in targets if t != VOCABULARY.pad]
            places = [w[i : i + len(cut)] == cut for w in wholes for i in range(len(w))]
            assert any(places)
            if truncation == "head":
                assert cut in [w[:32] for w in wholes]


def first_batches(n, **options):
    pieces = [broken_chords(seed) for seed in range(3)]
    settings = DataSettings(crop_tokens=32, batch_size=3)
    workers = options.pop("workers", 0)
    loader = DataLoader(RandomCrops(pieces, settings, 0, **options), 3, num_workers=workers)
    return [batch["targets"] for _, batch in zip(range(n), loader, strict=False)]


def test_a_resumed_run_sees_the_same_crops():
    whole = first_batches(5)
    assert not torch.equal(whole[0], whole[1])
    assert all(map(torch.equal, whole[2:], first_batches(3, first_step=2)))


def test_workers_and_processes_share_the_crops():
    whole = first_batches(4)
    assert all(map(torch.equal, whole, first_batches(4, workers=2)))
    for process in (0, 1):
        parts = first_batches(2, process=process, n_processes=2)
        assert all(map(torch.equal, whole[process::2], parts))


def test_augmentation_keeps_the_music():
    notes = broken_chords(0)
    settings = DataSettings(transpose=5, velocity=16, stretch=0.2, without_beats=0.5)
    seen = [augmented(notes, settings, np.random.default_rng(i)) for i in range(40)]
    shifts = {int(made.pitch[0] - notes.pitch[0]) for made in seen}
    assert shifts == set(range(-5, 6))
    for made in seen:
        np.testing.assert_array_equal(np.diff(made.pitch), np.diff(notes.pitch))
        ratio = made.end / notes.end
        assert 1 / 1.2 <= ratio <= 1.2
        np.testing.assert_allclose(made.onset, notes.onset * ratio)
        if made.beats is not None:  # a note is on its beat as before
            np.testing.assert_allclose(
                np.sin(2 * np.pi * made.beats.phases(made.onset)),
                np.sin(2 * np.pi * notes.beats.phases(notes.onset)),
                atol=1e-6,
            )
    assert 8 < sum(made.beats is None for made in seen) < 32


def test_augmentation_stays_within_midi():
    notes = Notes(np.zeros(2), np.ones(2), np.array([0, 127]), np.array([1, 127]))
    settings = DataSettings(transpose=11, velocity=60)
    for i in range(20):
        made = augmented(notes, settings, np.random.default_rng(i))
        assert made.pitch.tolist() == [0, 127]
        assert made.velocity.tolist() == [1, 127]
