"""Layers of image and video models. Oracle: transformers, called by hand; models are random."""

from pathlib import Path

import av
import numpy as np
import pytest
import torch
import transformers

from giblet.audio.files import write_sound
from giblet.brain.stimulus_clock import StimulusClock
from giblet.commands.feature_spaces import picture_features
from giblet.commands.film import extract_video
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.picture_layers import PictureModel, clips_at
from giblet.io.arrays import load_arrays
from giblet.io.tables import save_table
from giblet.log import warnings_of

SIZES = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2}
SIZES |= {"intermediate_size": 32, "image_size": 32, "patch_size": 8}
MOMENTS = np.array([0.55, 1.05, 2.95])


def saved(folder, model, processor="ViTImageProcessor"):
    size = {"height": 32, "width": 32}
    options = {"size": size, "crop_size": size}
    getattr(transformers, processor)(**options).save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


def image_model(folder, name):
    torch.manual_seed(0)
    config, processor = getattr(transformers, f"{name}Config"), "ViTImageProcessor"
    if name in ("CLIP", "Siglip"):
        text = {k: v for k, v in SIZES.items() if "size" not in k or k == "hidden_size"}
        text |= {"vocab_size": 9, "intermediate_size": 32}
        model = getattr(transformers, f"{name}Model")(config(text_config=text, vision_config=SIZES))
        processor = f"{name}ImageProcessor"
    else:
        model = getattr(transformers, f"{name}Model")(config(**SIZES))
    return saved(folder, model.eval(), processor), model


def video_model(folder, name="VideoMAE"):
    torch.manual_seed(0)
    sizes = SIZES | {"num_frames": 4, "tubelet_size": 2}
    if name == "Vivit":
        sizes |= {"tubelet_size": [2, 8, 8]}
    model = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**sizes))
    return saved(folder, model.eval(), "VideoMAEImageProcessor"), model


def write_film(path, pictures):
    with av.open(str(path), "w") as file:
        video = file.add_stream("ffv1", rate=10, width=40, height=24, pix_fmt="bgr0")
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = i
            file.mux(video.encode(frame))
        file.mux(video.encode(None))


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 255, (30, 24, 40, 3)).astype(np.uint8)


@pytest.fixture
def film(tmp_path, pictures):
    """Three seconds, ten frames a second, lossless."""
    write_film(tmp_path / "film.mkv", pictures)
    return tmp_path / "film.mkv"


@pytest.mark.parametrize("name", ["ViT", "Dinov2", "CLIP", "Siglip"])
def test_layers_of_an_image_model_are_its_hidden_states(tmp_path, film, pictures, name):
    folder, model = image_model(tmp_path / "model", name)
    tower = getattr(model, "vision_model", model)
    shown = list(pictures[[5, 10, 29]])
    pixels = transformers.AutoImageProcessor.from_pretrained(folder)(shown, return_tensors="pt")
    with torch.no_grad():
        states = tower(**pixels, output_hidden_states=True).hidden_states
    expected = np.concatenate([states[i].mean(dim=1).numpy() for i in (2, 4)], axis=1)
    found = PictureModel(folder, [0.5, 4]).features(film, MOMENTS)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found[1] - found[0]).max() > 1e-3


@pytest.mark.parametrize("name", ["VideoMAE", "Vivit"])
def test_a_video_model_sees_the_clip_around_each_moment(tmp_path, film, pictures, name):
    """Four frames in 0.8 s; the last clip goes beyond the film's end, and has its last frame."""
    folder, model = video_model(tmp_path / "model", name)
    frames = [[3, 5, 7, 9], [7, 9, 11, 13], [27, 29, 29, 29]]
    process = transformers.AutoImageProcessor.from_pretrained(folder)
    found = PictureModel(folder, [1, 1.0], clip_seconds=0.8).features(film, MOMENTS)
    for own, clip in zip(found, frames, strict=True):
        pixels = process(list(pictures[clip]), return_tensors="pt")["pixel_values"]
        with torch.no_grad():
            output = model(pixels.reshape(1, 4, 3, 32, 32), output_hidden_states=True)
        expected = [output.hidden_states[i][0].mean(dim=0) for i in (1, 4)]
        np.testing.assert_allclose(own, torch.cat(expected).numpy(), atol=1e-5)


def test_features_do_not_depend_on_how_many_moments_are_read(tmp_path, film):
    """Each moment by itself, and all in one reading."""
    for model in (image_model(tmp_path / "i", "ViT"), video_model(tmp_path / "v")):
        layers = PictureModel(model[0], "all", clip_seconds=1.0)
        moments = np.arange(0.05, 3, 0.1)
        together = layers.features(film, moments)
        alone = [layers.features(film, moments[i : i + 1])[0] for i in (0, 7, 29)]
        np.testing.assert_allclose(together[[0, 7, 29]], alone, atol=1e-5)


def test_a_moment_without_a_picture_is_zero(tmp_path, film):
    found = PictureModel(image_model(tmp_path / "m", "ViT")[0]).features(film, np.array([1.0, 9.0]))
    assert found[0].all()
    assert not found[1].any()


def test_clips_lie_on_one_grid():
    clips = clips_at(np.array([0.1, 5.0, 5.25]), 16, 2.0)
    assert clips.indices.shape == (3, 16)
    assert clips.indices[0].min() == 0
    middles = clips.times[clips.indices].mean(axis=1)
    np.testing.assert_allclose(middles[1:], [5.0, 5.25], atol=1 / 16)
    assert set(clips.indices[1]) & set(clips.indices[2])


def test_the_command_writes_a_space_for_each_layer(tmp_path, film):
    folder, _model = image_model(tmp_path / "m", "ViT")
    own = {"name": folder, "layers": [1, 3], "n_moments": 2}
    config = parse_config({"t_r": 1.0, "picture_model": own})
    assert config.space_sets == ["picture_model"]
    picture_features(film, tmp_path / "spaces.nc", config)
    arrays = load_arrays(tmp_path / "spaces.nc")
    assert arrays["picture_model"].shape == (3, 2, 32)
    assert arrays["picture_model_space"].values.tolist() == ["layer_1"] * 16 + ["layer_3"] * 16


@pytest.mark.parametrize("make", [image_model, video_model])
def test_each_stimulus_has_the_features_of_its_film_alone(tmp_path, rng, make):
    """Clips of a video model, longer than the silence between, hold no frame of a neighbour."""
    folder, _model = make(tmp_path / "model", "ViT" if make is image_model else "VideoMAE")
    own = {"name": folder, "layers": [1, 4], "n_moments": 2, "clip_seconds": 6.0}
    seconds = {"a.mkv": 3.0, "b.mkv": 4.7, "sound.wav": 3.0, "late.mkv": 3.0, "c.mkv": 3.6}
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        shown = rng.integers(0, 255, (round(10 * seconds[name]), 24, 40, 3)).astype(np.uint8)
        write_film(tmp_path / name, shown)
    write_sound(tmp_path / "sound.wav", np.zeros(24000), 8000)
    (tmp_path / "late.mkv").write_bytes((tmp_path / "a.mkv").read_bytes())
    starts = [0.0, 0.0, 0.0, 5.0, 0.0]  # the excerpt begins after its film's last frame
    files = [str(tmp_path / name) for name in seconds]
    clock = StimulusClock.lay_out([*seconds], [*seconds.values()], 1.0, files, starts)
    save_table(clock.table(), tmp_path / "stimuli.tsv")
    settings = {"t_r": 1.0, "picture_model": own}
    config = parse_config(settings | {"stimuli": "table.tsv", "bold": "runs.tsv"})
    picture_features(tmp_path / "stimuli.tsv", tmp_path / "all.nc", config)
    arrays = load_arrays(tmp_path / "all.nc")
    found = arrays["picture_model"].values
    of_trs = clock.stimulus_of_trs()
    for k in (0, 1, 4):
        picture_features(Path(files[k]), tmp_path / "one.nc", parse_config(settings))
        alone = load_arrays(tmp_path / "one.nc")["picture_model"].values
        np.testing.assert_allclose(found[of_trs == k], alone, atol=1e-6)
    assert not found[np.isin(of_trs, (2, 3))].any()
    lines = warnings_of(arrays.attrs)
    assert "1 of 5 stimuli have none, and are black (sound.wav)" in lines[0]
    assert "during parts of 1 stimuli, which are black there (late.mkv)" in lines[1]


@pytest.mark.parametrize("command", [picture_features, extract_video])
def test_the_fingerprint_is_of_the_stimuli_too(tmp_path, rng, command):
    """Their table stays the same where a film is replaced."""
    files = [str(tmp_path / name) for name in ("a.mkv", "b.mkv")]
    clock = StimulusClock.lay_out(["a", "b"], [2.0, 2.0], 1.0, files, [0.0, 0.0])
    save_table(clock.table(), tmp_path / "stimuli.tsv")
    own = {"name": image_model(tmp_path / "m", "ViT")[0], "layers": [1], "n_moments": 1}
    settings = {"t_r": 1.0, "picture_model": own, "stimuli": "table.tsv", "bold": "runs.tsv"}
    for name in ("a.mkv", "other.mkv"):
        write_film(tmp_path / name, rng.integers(0, 255, (20, 24, 40, 3)).astype(np.uint8))
    inputs = []
    for shown in ("a.mkv", "other.mkv", "a.mkv"):
        (tmp_path / "b.mkv").write_bytes((tmp_path / shown).read_bytes())
        command(tmp_path / "stimuli.tsv", tmp_path / "out.nc", parse_config(settings))
        inputs.append(load_arrays(tmp_path / "out.nc").attrs["input"])
    assert inputs[0] != inputs[1]
    assert inputs[0] == inputs[2]


def test_stimuli_without_any_video_are_one_line(tmp_path):
    write_sound(tmp_path / "a.wav", np.zeros(24000), 8000)
    clock = StimulusClock.lay_out(["a"], [3.0], 1.0, [str(tmp_path / "a.wav")])
    save_table(clock.table(), tmp_path / "stimuli.tsv")
    own = {"name": image_model(tmp_path / "m", "ViT")[0]}
    settings = {"t_r": 1.0, "picture_model": own, "stimuli": "table.tsv", "bold": "runs.tsv"}
    with pytest.raises(GibletError, match=r"no stimulus has video: set picture_model.name: none"):
        picture_features(tmp_path / "stimuli.tsv", tmp_path / "all.nc", parse_config(settings))


def test_what_is_wrong_is_one_line(tmp_path, film, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    bert = transformers.BertModel(transformers.BertConfig(vocab_size=9, **small))
    cases = [
        (saved(tmp_path / "bert", bert), [1], "not an image or video model"),
        ("nobody/no-such-model@" + 40 * "a", [1], r"picture_model\.name"),
        (image_model(tmp_path / "vit", "ViT")[0], [9], "no layer 9. The model has layers 0 to 4"),
    ]
    for name, layers, message in cases:
        with pytest.raises(GibletError, match=message) as caught:
            PictureModel(name, layers)
        assert "\n" not in str(caught.value)
