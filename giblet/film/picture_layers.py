"""Layers of pretrained image and video models, at moments of a film.

What a model sees at a moment depends on the film alone, not on how it is read. Memory holds the
frames of one clip.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from giblet.errors import GibletError
from giblet.film.model_layers import Layers, chosen_layers, load_pretrained
from giblet.film.video import Pictures, pictures_at
from giblet.io.hub import model_folder
from giblet.timing import tr_moments

_SETTING = "picture_model.name"
_FRAMES = {  # model_type of a video model → frames of a clip, by its config
    "videomae": lambda config: config.num_frames,
    "vivit": lambda config: config.num_frames,
    "timesformer": lambda config: config.num_frames,
}


@dataclass(frozen=True)
class Clips:
    """Film times that a model sees: ``times`` (n_times,) s, ascending, and the ``indices``
    (n_moments, n_frames) into them of each moment's clip."""

    times: np.ndarray
    indices: np.ndarray


def clips_at(moments: np.ndarray, n_frames: int, clip_seconds: float) -> Clips:
    """Clips of ``n_frames`` evenly spaced frames around each of ``moments`` (n_moments,) s.

    With one frame, the moments themselves. Else frames lie on one grid of the film, so that clips
    share them; a clip is around its moment to half a step of the grid. Times before the film's
    start are its start.

    >>> clips_at(np.array([1.0, 3.0]), 4, 2.0).indices.tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    """
    if n_frames == 1:
        return Clips(moments, np.arange(len(moments))[:, None])
    step = clip_seconds / n_frames
    first = np.round(moments / step - n_frames / 2).astype(int)
    indices = np.maximum(first[:, None] + np.arange(n_frames), 0)
    return Clips(tr_moments(int(indices.max()) + 1, step), indices)


class PictureModel:
    """Layers of an image or video model: one vector a layer of each moment.

    Parameters
    ----------
    name_or_folder
        Hugging Face id with its commit, or a folder with an image processor: any image model (ViT,
        DINOv2, CLIP and SigLIP without their text part, ConvNeXT, ResNet), or VideoMAE, ViViT or
        TimeSformer.
    layers
        As `giblet.film.model_layers.chosen_layers`.
    clip_seconds
        Film that a video model sees around each moment. Not used by image models.

    Attributes
    ----------
    n_frames : of a clip, 1 of an image model
    layers : list of int
    widths : features of each layer

    Raises
    ------
    GibletError
        Not a model of pictures; no such layer.
    """

    def __init__(
        self,
        name_or_folder: str,
        layers: Layers = (0.25, 0.5, 0.75),
        clip_seconds: float = 2.0,
    ):
        from transformers import AutoConfig, AutoImageProcessor, AutoModel

        folder = model_folder(name_or_folder, _SETTING)
        kind = "an image or video model"
        try:
            safe = {"trust_remote_code": False}
            config = AutoConfig.from_pretrained(folder, **safe)
            self._processor = AutoImageProcessor.from_pretrained(folder, **safe)
        except (OSError, ValueError, ImportError) as error:
            reason = str(error).strip().splitlines()[0]
            raise GibletError(f"{_SETTING} {name_or_folder!r}: not {kind} ({reason})") from error
        model = load_pretrained(name_or_folder, _SETTING, kind, AutoModel.from_pretrained)
        self._model = getattr(model, "vision_model", model)
        if self._model.main_input_name != "pixel_values":
            reason = f"{config.model_type} reads {self._model.main_input_name}"
            raise GibletError(f"{_SETTING} {name_or_folder!r}: not {kind} ({reason})")
        frames = _FRAMES.get(config.model_type)
        self._is_video, self.clip_seconds = frames is not None, clip_seconds
        self.n_frames = frames(config) if frames else 1
        black = self._prepared(np.zeros((64, 64, 3), dtype=np.uint8))
        states = self._states([black] * self.n_frames)
        self.layers = chosen_layers(layers, len(states) - 1, "picture_model.layers")
        self.widths = [len(states[i]) for i in self.layers]

    def features(self, film: Pictures, moments: np.ndarray) -> np.ndarray:
        """Layer beside layer, (n_moments, n_features) float32; 0 where nothing is on screen.

        ``moments`` (n_moments,) s of film, ascending. Means over the tokens or places of each
        layer. Where a clip goes beyond the film, or nothing is on screen for a part of it, it has
        the nearest frame. Raises GibletError as `giblet.film.video.shown_pictures`.
        """
        clips = clips_at(moments, self.n_frames, self.clip_seconds)
        found = np.zeros((len(moments), sum(self.widths)), dtype=np.float32)
        held: dict[int, Any] = {}  # frames of the clips to come, by index
        done = 0
        for here, picture in pictures_at(film, clips.times):
            done = self._fill(found, clips, held, done, here.start)
            frame = self._prepared(picture.scaled(*picture.size))
            held |= dict.fromkeys(range(here.start, here.stop), frame)
        if held:
            self._fill(found, clips, held, done, len(clips.times))
        return found

    def _fill(self, found: np.ndarray, clips: Clips, held: dict, done: int, known: int) -> int:
        """Vectors of the clips from number ``done`` on that end before time ``known``; drops
        frames that no later clip needs. Returns the number of clips that are done."""
        last: tuple[list, np.ndarray] | None = None
        while done < len(found) and clips.indices[done, -1] < known:
            wanted = clips.indices[done]
            if any(i in held for i in wanted.tolist()):
                frames = [_nearest(held, i) for i in wanted.tolist()]
                if last is None or any(a is not b for a, b in zip(frames, last[0], strict=True)):
                    last = frames, np.concatenate([self._states(frames)[n] for n in self.layers])
                found[done] = last[1]
            done += 1
        if done < len(found):
            first = max((i for i in held if i <= clips.indices[done, 0]), default=0)
            for i in [i for i in held if i < first]:
                del held[i]
        return done

    def _prepared(self, picture: np.ndarray):
        """A frame (height, width, 3) uint8 sRGB as the model takes it, (1, 3, height, width)."""
        pixels = self._processor(images=picture, return_tensors="pt")["pixel_values"]
        return pixels.reshape(1, *pixels.shape[-3:])

    def _states(self, frames: list) -> list[np.ndarray]:
        """Layers of a clip, (n_features,) each: means over tokens or places."""
        import torch

        pixels = torch.stack(frames, dim=1) if self._is_video else frames[0]
        with torch.inference_mode():
            output = self._model(pixel_values=pixels, output_hidden_states=True)
        return [
            states.mean(dim=1 if states.ndim == 3 else (2, 3))[0].float().numpy()
            for states in output.hidden_states
        ]


def _nearest(held: dict, index: int) -> Any:
    """The frame at ``index``, else the last before it, else the first."""
    return held[max((i for i in held if i <= index), default=min(held))]
