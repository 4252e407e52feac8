"""Autoencoders in folders: weights (safetensors) and ``config.json``."""

from copy import deepcopy
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model

from giblet.checks import GibletError
from giblet.models.autoencoder import Autoencoder, Shapes
from giblet.settings import ModelConfig
from giblet.store import load_json, save_json

_MAKE = ("layout", "code_head", "slot_frames", "slot_dim", "frame_width", "slot_width")
_SOUND = ("use_encodec", "n_rows", "codebook_size", "codebook_dim")
AUDIO = ("encoders.audio.", "decoders.audio.", "join.norm.")


def save_autoencoder(
    autoencoder: Autoencoder, folder: str | Path, half: bool = False, **more
) -> None:
    """Write ``model.safetensors`` and ``config.json`` (shapes, sizes and ``more``)."""
    folder = Path(folder)
    save_model(
        deepcopy(autoencoder).half() if half else autoencoder, str(folder / "model.safetensors")
    )
    content = {"shapes": autoencoder.shapes.to_dict(), "model": autoencoder.config.model_dump()}
    save_json(content | more, folder / "config.json")


def load_autoencoder(folder: str | Path) -> Autoencoder:
    """Read what ``save_autoencoder`` wrote.

    Raises GibletError if it is not there, or not as the config beside it says.
    """
    folder = Path(folder)
    content = load_json(folder / "config.json")
    try:
        known = {k: tuple(v) if isinstance(v, list) else v for k, v in content["shapes"].items()}
        autoencoder = Autoencoder(Shapes(**known), ModelConfig.model_validate(content["model"]))
        load_model(autoencoder.float(), str(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise GibletError(f"{folder}: no autoencoder can be read from it ({reason})") from error
    return autoencoder.float().eval()


BUNDLED = Path(__file__).parent / "bundled"


def starting_point(
    shapes: Shapes, config: ModelConfig, words: torch.Tensor | None = None
) -> tuple[Autoencoder | None, str]:
    """The trained model whose audio encoder and decoder ``model.start_from`` asks for, and its
    name; ``auto`` is the bundled one if it was trained on codes or mels like these.

    ``words`` (n_codebooks, codebook_size, codebook_dim): the codec's, on the path of codes.
    """
    if config.start_from == "none":
        return None, "none"
    if config.start_from not in ("auto", "bundled"):
        return load_autoencoder(config.start_from), config.start_from
    folder = BUNDLED / ("encodec" if shapes.use_encodec else "mel")
    bundled = load_autoencoder(folder)
    alike = all(getattr(config, name) == getattr(bundled.config, name) for name in _MAKE)
    alike &= all(getattr(shapes, name) == getattr(bundled.shapes, name) for name in _SOUND)
    if alike and words is not None:
        alike = same_words(words, bundled.codebooks.words)
    if config.start_from == "auto" and not alike:
        return None, "none"
    return bundled, "bundled"


@torch.no_grad()
def take_audio(autoencoder: Autoencoder, trained: Autoencoder) -> None:
    """Give ``autoencoder`` the trained audio encoder and decoder of another.

    A TR may be of another length. Raises GibletError if the two are of another make, or speak
    another codec's codes.
    """
    for name in _MAKE:
        mine, theirs = getattr(autoencoder.config, name), getattr(trained.config, name)
        if mine != theirs:
            raise GibletError(f"model.start_from was trained with {name} {theirs}, not {mine}")
    _check_same_sound(autoencoder, trained)
    state = autoencoder.state_dict()
    for name, values in trained.state_dict().items():
        if name.startswith(AUDIO) and name in state:  # blurred inputs have no audio encoder
            state[name].copy_(values)


def _check_same_sound(one: Autoencoder, trained: Autoencoder) -> None:
    mine, theirs = ([getattr(m.shapes, name) for name in _SOUND] for m in (one, trained))
    if mine != theirs or (
        one.codebooks is not None and not same_words(one.codebooks.words, trained.codebooks.words)
    ):
        raise GibletError("model.start_from was trained on another codec's codes, or other mels")


def same_words(words: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether two codecs have the same codewords, but for half precision."""
    return words.shape == others.shape and torch.allclose(words, others, rtol=1e-2, atol=1e-2)
