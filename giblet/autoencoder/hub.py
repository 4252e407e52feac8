"""Models in folders and on the Hugging Face Hub: weights (safetensors) and ``config.json``."""

from pathlib import Path
from typing import Self

import torch
from huggingface_hub import ModelHubMixin
from safetensors import SafetensorError
from safetensors.torch import load_model, save

from giblet.alignment.shapes import Shapes
from giblet.config.sections import ModelConfig
from giblet.errors import GibletError
from giblet.io.checksums import FORMAT_VERSION, check_sums, check_version, write_sums
from giblet.io.hub import model_folder
from giblet.io.tables import load_json, save_json

_WEIGHTS, _CONFIG, _FORMAT = "model.safetensors", "config.json", "format_version"
_BAD_WEIGHTS = (OSError, RuntimeError, SafetensorError)
_BAD_CONFIG = (AttributeError, KeyError, TypeError, ValueError)
_CARD = """---
{{ card_data }}
---

# An autoencoder of giblet

It turns a film's sound, as codes of an audio codec or as mel spectrograms, into one *bottleneck*
for each repetition time (TR) of a scan, and back; pictures, words and BOLD go through the same
bottleneck where it was trained with them. `config.json` has its inputs and how it was trained.

```python
import giblet

model = giblet.load("owner/name@commit")  # or a folder
bottleneck = model.encode(features)  # (n_trs, n_rows, frames_per_tr) to (n_trs, width)
features = model.decode_audio(bottleneck)
```

`giblet.audio.AudioProcessor` makes such features of sound, and sound of them. Codes mean something
only to the codec that they are from.
"""


class SavedModel(ModelHubMixin, library_name="giblet", tags=["fmri"], model_card_template=_CARD):
    """A model with ``shapes``, ``config`` and ``facts`` that a folder holds.

    ``save_pretrained(folder)`` writes ``model.safetensors``, ``config.json`` (shapes, sizes and
    ``facts``, which must be JSON), ``sha256sums.txt`` of both, and a model card, ``README.md``;
    ``push_to_hub(id)`` sends them.
    The same model is the same bytes every time. ``model.half()`` first: half the size.
    """

    shapes: Shapes
    config: ModelConfig
    facts: dict

    def _save_pretrained(self, save_directory: Path) -> None:
        (save_directory / _WEIGHTS).write_bytes(save(_weights(self)))  # `save_file`: mode 0600
        made = {"shapes": self.shapes.to_dict(), "model": self.config.model_dump()}
        save_json(self.facts | made | {_FORMAT: FORMAT_VERSION}, save_directory / _CONFIG)
        write_sums(save_directory, [_WEIGHTS, _CONFIG])

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, revision: str | None = None) -> Self:
        """The model of a folder or a Hub id, in single precision and evaluation mode.

        Weights are read as safetensors alone, never unpickled.

        Parameters
        ----------
        folder
            What ``save_pretrained`` wrote, or an id on the Hub, ``"owner/name"`` or
            ``"owner/name@commit"``, as `giblet.io.hub.model_folder` takes it.
        revision
            On the Hub: commit, branch or tag, instead of the one in the id.

        Raises
        ------
        GibletError
            It is not there, not as it was written, or not as the config beside it says.
        """
        if revision is not None and not Path(folder).is_dir():
            folder = f"{str(folder).partition('@')[0]}@{revision}"
        place = model_folder(str(folder), "model")
        content = load_json(place / _CONFIG)
        try:
            made_by = content.pop(_FORMAT, 0)
            check_version(made_by, place / _CONFIG)
            check_sums(place, [_WEIGHTS, _CONFIG], needed=made_by > 0)
            shapes = Shapes.from_dict(content.pop("shapes"))
            model = cls(shapes, ModelConfig(**content.pop("model")))
            load_model(model, place / _WEIGHTS)
        except (*_BAD_WEIGHTS, *_BAD_CONFIG) as error:
            reason = " ".join(str(error).split())[:200]
            raise GibletError(f"{folder}: no autoencoder can be read from it ({reason})") from error
        model.facts = content
        return model.eval()


def _weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Each tensor once, under its first name.

    ``safetensors.torch.save_model`` lists the other names too, in an order of chance.
    """
    state = model.state_dict(keep_vars=True)  # with them, what is shared is one object
    first = {id(values): name for name, values in reversed(state.items())}
    return {name: state[name].detach().contiguous() for name in first.values()}
