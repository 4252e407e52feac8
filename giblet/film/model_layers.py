"""Layers of a transformers model, and the model itself, as people name them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from giblet.errors import GibletError
from giblet.io.hub import model_folder

Layers = Sequence[int | float] | str


def chosen_layers(layers: Layers, n_layers: int, setting: str) -> list[int]:
    """Indices into hidden states, from 0 (before the first layer) to ``n_layers``.

    ``layers``: whole numbers, shares of the depth (0.5), or "all".

    Raises
    ------
    GibletError
        No such layer.

    >>> chosen_layers([0.25, 0.5, 12], 12, "layers")
    [3, 6, 12]
    """
    if isinstance(layers, str):
        if layers == "all":
            return list(range(n_layers + 1))
        raise GibletError(f'{setting}: "{layers}" is no layer: write a list, or all')
    indices = []
    for layer in layers:
        index = round(layer * n_layers) if isinstance(layer, float) else layer
        if not 0 <= index <= n_layers or (isinstance(layer, float) and layer > 1):
            raise GibletError(
                f"{setting}: there is no layer {layer}. The model has layers 0 to {n_layers}; "
                "shares of its depth are 0.0 to 1.0"
            )
        indices.append(index)
    return list(dict.fromkeys(indices))


def load_pretrained(name_or_folder: str, setting: str, kind: str, load: Callable) -> Any:
    """``load(folder, **safe)`` of a hub id with its commit, or a folder; its weights are complete.

    ``kind``: "an audio model", for the error. No code that comes with a model is run.

    Raises
    ------
    GibletError
        As `giblet.io.hub.model_folder`; not such a model; weights that it lacks.
    """
    folder: Path = model_folder(name_or_folder, setting)
    options = {"trust_remote_code": False, "use_safetensors": True, "output_loading_info": True}
    try:
        model, loading = load(folder, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise GibletError(f"{setting} {name_or_folder!r}: not {kind} ({reason})") from error
    unused = ("pooler.", "masked_spec_embed")
    missing = [k for k in loading["missing_keys"] if not any(part in k for part in unused)]
    if missing:  # transformers fills them with random numbers
        raise GibletError(f"{setting} {name_or_folder!r}: its weights lack {min(missing)}")
    return model.eval()
