"""Vectors of pictures. Oracle: transformers' own pipeline and models, on the film's pictures."""

import av
import numpy as np
import pytest

from giblet.commands.film import extract_video
from giblet.config.config import parse_config
from giblet.errors import GibletError
from giblet.film.image_features import ImageModel, model_features
from giblet.io.arrays import load_arrays

PICTURES = np.zeros((20, 24, 36, 3), dtype=np.uint8)  # 10 a second
PICTURES[:10, :12, :, 0] = 250
PICTURES[10:, :, 18:, 2] = 200


def saved(folder, model, **processor):
    """Folder with a model of random weights, and an image processor that asks for 30 x 30."""
    from transformers import ViTImageProcessor

    size = {"height": 30, "width": 30}
    ViTImageProcessor(size=size, **processor).save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


def sizes(**more):
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "image_size": 30,
        "patch_size": 10,
    } | more


@pytest.fixture
def small_vit(tmp_path):
    from transformers import ViTConfig, ViTModel

    return saved(tmp_path / "vit", ViTModel(ViTConfig(**sizes()), add_pooling_layer=False))


@pytest.fixture
def film(tmp_path):
    """Two seconds that begin half a second after their sound: the first moment is not seen."""
    with av.open(str(tmp_path / "film.mkv"), "w") as film:
        video = film.add_stream("ffv1", rate=10, width=36, height=24, pix_fmt="bgr0")
        audio = film.add_stream("pcm_s16le", rate=8000, layout="mono")
        for i, picture in enumerate(PICTURES):
            frame = av.VideoFrame.from_ndarray(picture)
            frame.pts = i + 5
            film.mux(video.encode(frame))
        film.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), "s16", "mono")
        frame.sample_rate, frame.pts = 8000, 0
        film.mux([*audio.encode(frame), *audio.encode(None)])
    return tmp_path / "film.mkv"


def test_a_vision_transformer_as_transformers_runs_it(film, small_vit):
    from PIL import Image
    from transformers import pipeline

    found = model_features(film, 1.0, 2, 2, small_vit)  # at 0.25, 0.75, 1.25, 1.75 s
    assert found.shape == (2, 2, 16)
    assert found.dtype == np.float32
    assert not found[0, 0].any()
    extract = pipeline("image-feature-extraction", model=small_vit)
    tokens = extract([Image.fromarray(PICTURES[i]) for i in (2, 7, 12)])  # each (1, 10, 16)
    expected = [np.mean(states[0], axis=0) for states in tokens]
    np.testing.assert_allclose(found.reshape(4, 16)[1:], expected, atol=1e-5)
    np.testing.assert_array_equal(found[0, 1], found[1, 0])  # the same picture
    assert np.abs(found[1, 1] - found[1, 0]).max() > 1e-3


def test_the_verb_writes_it_beside_the_pictures(tmp_path, film, small_vit):
    config = parse_config({"t_r": 1.0, "video": {"features": small_vit, "n_frames": 2}})
    extract_video(film, tmp_path / "video.nc", config)
    arrays = load_arrays(tmp_path / "video.nc")
    expected = model_features(film, 1.0, 2, 2, small_vit)
    np.testing.assert_array_equal(arrays["features"], expected)
    assert arrays["seen"].values.tolist() == [[False, True], [True, True]]


def test_a_pooler_counts_only_if_it_was_trained(tmp_path, small_vit):
    import torch
    from transformers import AutoImageProcessor, ViTConfig, ViTModel

    model = ViTModel(ViTConfig(**sizes())).eval()  # with its pooler
    folder = saved(tmp_path / "pooled", model)
    pixels = AutoImageProcessor.from_pretrained(folder)(PICTURES[0], return_tensors="pt")
    with torch.no_grad():
        expected = model(**pixels).pooler_output[0].numpy()
    np.testing.assert_allclose(ImageModel(folder)(PICTURES[0]), expected, atol=1e-5)
    np.testing.assert_array_equal(*(ImageModel(small_vit)(PICTURES[0]) for _ in range(2)))


def test_clip_gives_its_image_embedding(tmp_path):
    import torch
    from transformers import AutoImageProcessor, CLIPConfig, CLIPModel

    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    config = CLIPConfig(text_config=text, vision_config=sizes(), projection_dim=7)
    model = CLIPModel(config).eval()
    folder = saved(tmp_path / "clip", model)
    pixels = AutoImageProcessor.from_pretrained(folder)(PICTURES[0], return_tensors="pt")
    with torch.no_grad():
        seen = model.vision_model(**pixels).pooler_output
        expected = model.visual_projection(seen)[0].numpy()
    np.testing.assert_allclose(ImageModel(folder)(PICTURES[0]), expected, atol=1e-5)


def test_a_convolutional_network_has_one_vector_too(tmp_path):
    from transformers import ResNetConfig, ResNetModel

    config = ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])
    folder = saved(tmp_path / "resnet", ResNetModel(config))
    assert ImageModel(folder)(PICTURES[0]).shape == (12,)


def test_what_is_no_image_model_gets_one_clear_line(tmp_path, film, monkeypatch):
    from transformers import BertConfig, BertModel

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=9, **small)).save_pretrained(tmp_path / "bert")
    for name in ("motion-energy", "nobody/no-such-model", str(tmp_path / "bert")):
        with pytest.raises(GibletError, match=r"video\.features") as caught:
            model_features(film, 1.0, 2, 1, name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)
