"""Warm start: the trained audio encoder and decoder of one model for another."""

from pathlib import Path

import torch

from giblet.alignment.shapes import Shapes
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.config.sections import ModelConfig
from giblet.errors import GibletError

_SIZES = {
    "slots": ("slot_frames", "slot_dim", "slot_video", "slot_text", "frame_width", "slot_width"),
    "flat": ("audio_dim", "embedding_dim", "bottleneck_dim", "decoder_dim"),
}
_SOUND = ("use_encodec", "n_rows", "codebook_size", "codebook_dim")
AUDIO = ("encoders.audio.", "decoders.audio.", "join.norm.")
BUNDLED = Path(__file__).parent / "bundled"


def starting_point(
    shapes: Shapes, config: ModelConfig, codebooks: torch.Tensor | None = None
) -> tuple[Autoencoder | None, str]:
    """The trained model whose audio encoder and decoder ``model.start_from`` asks for, and its
    name; ``auto`` is the bundled one if it was trained on codes or mels like these.

    ``codebooks`` (n_codebooks, codebook_size, codebook_dim): the codec's, where features are codes.
    """
    if config.start_from == "none":
        return None, "none"
    if config.start_from not in ("auto", "bundled"):
        return Autoencoder.from_pretrained(config.start_from), config.start_from
    folder = BUNDLED / shapes.feature_type
    bundled = Autoencoder.from_pretrained(folder)
    alike = _variant(shapes, config) == _variant(bundled.shapes, bundled.config)
    alike &= all(getattr(shapes, name) == getattr(bundled.shapes, name) for name in _SOUND)
    if alike and codebooks is not None:
        alike = same_codebooks(codebooks, bundled.codebooks.words)
    if config.start_from == "auto" and not alike:
        return None, "none"
    return bundled, "bundled"


@torch.no_grad()
def take_audio(autoencoder: Autoencoder, trained: Autoencoder) -> None:
    """Give ``autoencoder`` the trained audio encoder and decoder of another.

    A TR may be of another length where the layout is slots. Raises GibletError if the two are
    different variants, of other sizes, or use another codec's codes.
    """
    theirs = _variant(trained.shapes, trained.config)
    for name, mine in _variant(autoencoder.shapes, autoencoder.config).items():
        if mine != theirs[name]:
            raise GibletError(
                f"model.start_from was trained with {name} {theirs[name]}, not {mine}"
            )
    _check_same_sound(autoencoder, trained)
    state = autoencoder.state_dict()
    for name, values in trained.state_dict().items():
        if name.startswith(AUDIO) and name in state:  # blurred inputs have no audio encoder
            state[name][..., : values.shape[-1]] = values  # after them, bands of more modalities


def _variant(shapes: Shapes, config: ModelConfig) -> dict:
    """Settings and sizes of the audio encoder and decoder; the layout first, which decides them."""
    variant = {
        name: getattr(config, name) for name in ("layout", "code_head", *_SIZES[config.layout])
    }
    return (
        variant if config.layout == "slots" else variant | {"frames_per_tr": shapes.frames_per_tr}
    )


def _check_same_sound(one: Autoencoder, trained: Autoencoder) -> None:
    mine, theirs = ([getattr(m.shapes, name) for name in _SOUND] for m in (one, trained))
    if mine != theirs or (
        one.codebooks is not None
        and not same_codebooks(one.codebooks.words, trained.codebooks.words)
    ):
        raise GibletError("model.start_from was trained on another codec's codes, or other mels")


def same_codebooks(one: torch.Tensor, other: torch.Tensor) -> bool:
    """True if two codecs have the same codewords up to half precision."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-2, atol=1e-2)
