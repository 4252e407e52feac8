"""Modalities: what a film offers to the model, one entry each, in the order of the bottleneck.

A new modality is an entry here and modules of its own: what reads its features from the film, and
its networks (for video and text: ``film.video``, ``film.text``, ``film.networks``). Alignment,
regressors, the autoencoder, its losses and the report go through this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from giblet.film.video import block_colours
from giblet.timing import frames_rate_hz

if TYPE_CHECKING:
    import xarray as xr
    from torch import nn

Shape = tuple[int, ...]  # of a modality's features in one TR


@dataclass(frozen=True)
class Modality:
    """One modality of a film.

    name
        Of its variable (tr, …) in array sets, and of its encoder, decoder and loss.
    label
        In the report.
    dims
        The variable's dimensions after ``tr`` that set the sizes of its networks.
    scale
        What the features are divided by before a decoder is compared with them.
    width, slot_width, weight
        Features that its encoder returns, its features in a slot of the bottleneck, and the weight
        of its loss, where the config has no ``model.<name>_dim``, ``model.slot_<name>`` and
        ``training.<name>_weight``.
    regressors
        (its array set, t_r in s, the ``AudioProcessor``) → what a linear model reads,
        ((n_samples, n_features) float32, rate in Hz).
    encoder, decoder
        (shape, width) → network (n_trs, …) → (n_trs, width), and (bottleneck_dim, shape) → network
        back, with ``start_at(mean)``. Networks of sound depend on the feature type:
        ``giblet.autoencoder.autoencoder`` makes them.
    optional
        Whether the bottleneck has no room for it where the film lacks it.
    columns
        Dimension along which coordinates ``<name>_...`` describe the columns of the regressors; its
        ``<name>_space`` names the feature space of each. Empty: they are one feature space.
    """

    name: str
    label: str
    dims: tuple[str, ...]
    regressors: "Callable[[xr.Dataset, float, Any], tuple[np.ndarray, float]]"
    encoder: "Callable[[Shape, int], nn.Module]"
    decoder: "Callable[[int, Shape], nn.Module]"
    scale: float = 1.0
    width: int = 256
    slot_width: int = 8
    weight: float = 0.2
    optional: bool = True
    columns: str = ""

    def setting(self, section: Any, name: str, default: float) -> Any:
        """The config's value, ``name`` with ``*`` for the modality, or else the entry's own."""
        return getattr(section, name.replace("*", self.name), default)


def _sound_regressors(film: "xr.Dataset", _t_r: float, processor) -> tuple[np.ndarray, float]:
    return processor.regressors(film["audio"].values)


def _of_the_autoencoder(*_) -> "nn.Module":
    raise TypeError("networks of sound depend on the feature type: the autoencoder makes them")


def _video_regressors(film: "xr.Dataset", t_r: float, _) -> tuple[np.ndarray, float]:
    """The chosen video features, or else the colours of blocks."""
    if "features" in film:
        features = film["features"].values  # (n_trs, n_moments, n_features)
        rate_hz = frames_rate_hz(film.sizes["moment"], t_r)
        return features.reshape(-1, features.shape[-1]), rate_hz
    return block_colours(film["video"].values), frames_rate_hz(film.sizes["picture"], t_r)


def _text_regressors(film: "xr.Dataset", t_r: float, _) -> tuple[np.ndarray, float]:
    return film["text"].values, frames_rate_hz(1, t_r)


def _score_regressors(film: "xr.Dataset", t_r: float, _) -> tuple[np.ndarray, float]:
    return film["score_values"].values, frames_rate_hz(1, t_r)


def _video_encoder(_shape: Shape, width: int) -> "nn.Module":
    from giblet.film.networks import VideoEncoder

    return VideoEncoder(width)


def _video_decoder(bottleneck_dim: int, shape: Shape) -> "nn.Module":
    from giblet.film.networks import VideoDecoder

    return VideoDecoder(bottleneck_dim, *shape)


def _text_encoder(shape: Shape, width: int) -> "nn.Module":
    from giblet.film.networks import TextEncoder

    return TextEncoder(*shape, width)


def _text_decoder(bottleneck_dim: int, shape: Shape) -> "nn.Module":
    from giblet.film.networks import TextDecoder

    return TextDecoder(bottleneck_dim, *shape)


def _score_encoder(shape: Shape, width: int) -> "nn.Module":
    from giblet.film.networks import ScoreEncoder

    return ScoreEncoder(*shape, width)


def _score_decoder(bottleneck_dim: int, shape: Shape) -> "nn.Module":
    from giblet.film.networks import ScoreDecoder

    return ScoreDecoder(bottleneck_dim, *shape)


MODALITIES: dict[str, Modality] = {
    modality.name: modality
    for modality in (
        Modality(
            name="audio",
            label="sound",
            dims=("row", "frame"),
            regressors=_sound_regressors,
            encoder=_of_the_autoencoder,
            decoder=_of_the_autoencoder,
            optional=False,
        ),
        Modality(
            name="video",
            label="video",
            dims=("picture", "height", "width"),
            regressors=_video_regressors,
            encoder=_video_encoder,
            decoder=_video_decoder,
            scale=255.0,
            optional=False,
        ),
        Modality(
            name="text",
            label="words",
            dims=("feature",),
            regressors=_text_regressors,
            encoder=_text_encoder,
            decoder=_text_decoder,
            optional=False,
        ),
        Modality(
            name="score",
            label="score",
            dims=("score_step", "score_row"),
            regressors=_score_regressors,
            encoder=_score_encoder,
            decoder=_score_decoder,
            columns="score_value",
        ),
    )
}


@dataclass(frozen=True)
class SpaceSet:
    """Feature spaces of linear models alone, of which the autoencoder knows nothing.

    Its variable is ``name`` (tr, moment, ``columns``), coordinate ``<name>_space`` names the space
    of each column.
    """

    name: str

    @property
    def columns(self) -> str:
        return f"{self.name}_column"

    def regressors(self, film: "xr.Dataset", t_r: float, _) -> tuple[np.ndarray, float]:
        values = film[self.name].values
        return values.reshape(-1, values.shape[-1]), frames_rate_hz(values.shape[1], t_r)

    def arrays(self, spaces: dict[str, np.ndarray], n_trs: int) -> "xr.Dataset":
        """Of values (n_trs * n_moments, n_features) by space: the array set."""
        import xarray as xr

        names = np.repeat([*spaces], [values.shape[1] for values in spaces.values()])
        together = np.concatenate([*spaces.values()], axis=1).astype(np.float32)
        values = together.reshape(n_trs, -1, together.shape[1])
        arrays = xr.Dataset({self.name: (("tr", "moment", self.columns), values)})
        return arrays.assign_coords({f"{self.name}_space": (self.columns, names)})


SPACE_SETS = {name: SpaceSet(name) for name in ("sound_model", "picture_model", "word_model")}


def beside_sound() -> dict[str, Modality]:
    """All modalities but sound, by name."""
    return {name: modality for name, modality in MODALITIES.items() if name != "audio"}


def feature_names() -> tuple[str, ...]:
    """Names in a file of any one modality's features, as ``giblet.io.schema`` has them."""
    return " or ".join(["features", *MODALITIES, *SPACE_SETS]), "tr"


def modality_of(film: "xr.Dataset") -> Modality | SpaceSet:
    """The modality, or the set of feature spaces, that an array set holds the features of."""
    return next(m for m in [*MODALITIES.values(), *SPACE_SETS.values()] if m.name in film)
