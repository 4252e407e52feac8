"""Features of video frames from a pretrained image model."""

from pathlib import Path

import numpy as np

from giblet.errors import GibletError
from giblet.film.video import Pictures, pictures_at
from giblet.io.hub import model_folder
from giblet.timing import check_t_r, tr_moments

_SETTING = "video.features"


def model_features(film: Pictures, t_r: float, n_trs: int, n_frames: int, model: str) -> np.ndarray:
    """Vectors of the frames that `giblet.film.video.extract_frames` takes.

    The model gets the upright frame in its own proportions and size, prepared by its image
    processor. The vector is its image embedding (CLIP and the like), else its pooled output if that
    was trained, else the mean of its last hidden state.

    Parameters
    ----------
    t_r : seconds.
    n_frames : frames per TR.
    model : Hugging Face id, or folder, of an image model and its processor.

    Returns
    -------
    features : (n_trs, n_frames, n_features) float32, zeros where nothing was on screen.

    Raises
    ------
    GibletError
        No such model, or not one of images; as `giblet.film.video.shown_pictures`.
    """
    vectors = ImageModel(model)
    moments, features = tr_moments(n_trs, check_t_r(t_r), n_frames), None
    for here, picture in pictures_at(film, moments):
        vector = vectors(picture.scaled(*picture.size))
        if features is None:
            features = np.zeros((len(moments), len(vector)), dtype=np.float32)
        features[here] = vector
    if features is None:
        raise GibletError(f"{_label(film)}: no frame is on screen at any of {len(moments)} moments")
    return features.reshape(n_trs, n_frames, -1)


def _label(film: Pictures) -> str:
    return str(film) if isinstance(film, str | Path) else "the film"


class ImageModel:
    """A model of frames (height, width, 3) uint8 sRGB → vectors (n_features,) float32."""

    def __init__(self, name_or_folder: str):
        from transformers import AutoImageProcessor, AutoModel

        folder = model_folder(name_or_folder, _SETTING)
        try:
            safe = {"trust_remote_code": False}  # no code that comes with a model
            self.processor = AutoImageProcessor.from_pretrained(folder, **safe)
            self.network, loading = AutoModel.from_pretrained(
                folder, output_loading_info=True, use_safetensors=True, **safe
            )
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            message = f"{_SETTING} {name_or_folder!r}: not an image model ({reason})"
            raise GibletError(message) from error
        self.network.eval()
        missing = loading["missing_keys"]  # transformers fills them with random numbers
        self.pools = not any(key.startswith("pooler.") for key in missing)
        if absent := [key for key in missing if not key.startswith("pooler.")]:
            raise GibletError(f"{_SETTING} {name_or_folder!r}: its weights lack {min(absent)}")

    def __call__(self, picture: np.ndarray) -> np.ndarray:
        import torch

        pixels = self.processor(images=picture, return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            if hasattr(self.network, "get_image_features"):
                return _vector(self.network.get_image_features(pixel_values=pixels))
            return _vector(self.network(pixel_values=pixels), self.pools)


def _vector(output, pools: bool = True) -> np.ndarray:
    """The one vector (n_features,) in a model's output for one frame."""
    if hasattr(output, "last_hidden_state"):
        pooled = getattr(output, "pooler_output", None) if pools else None
        output = _mean(output.last_hidden_state) if pooled is None else pooled
    return output.float().numpy().reshape(-1)


def _mean(states):
    """Mean over tokens of (1, n_tokens, width), or over places of (1, width, height, width)."""
    return states.mean(dim=1 if states.ndim == 3 else (2, 3))
