"""Music models in folders and on the Hugging Face Hub: weights (safetensors), ``config.json``."""

import json
from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelHubMixin
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as save_arrays
from safetensors.torch import load_file, save

from giblet.errors import GibletError
from giblet.io.checksums import FORMAT_VERSION, check_sums, check_version, write_sums
from giblet.io.hub import model_folder
from giblet.io.tables import load_json, save_json
from giblet.music.memorisation import TrainingIntervals
from giblet.music.tokens import VOCABULARY

_WEIGHTS, _CONFIG, _FORMAT = "model.safetensors", "config.json", "format_version"
_TRAINING = "training.safetensors"
_CARD = """---
{{ card_data }}
---

# A music model of giblet

It predicts each token of a score (`giblet.music.tokenize`) from those before it. `config.json` has
its settings and how it was trained.

```python
from giblet.music import load, read_midi, tokenize

model = load("owner/name@commit")  # or a folder
nats = model.nats(tokenize(read_midi("piece.mid")))  # surprise of each token
```
"""


def vocabulary_facts() -> dict[str, Any]:
    """What a model's tokens mean: two models whose facts differ cannot read each other's."""
    v = VOCABULARY
    kinds = {"note_on": v.note_on, "note_off": v.note_off}
    kinds |= {"time_shift": v.time_shift, "velocity": v.velocity}
    borders = {name: [kind.start, kind.stop] for name, kind in kinds.items()}
    ids = {"size": v.size, "n_ids": v.n_ids, "pad": v.pad, "bos": v.bos, "eos": v.eos}
    return ids | borders | {"step_seconds": v.step_seconds}


class SavedMusicModel(ModelHubMixin, library_name="giblet", model_card_template=_CARD):
    """A model with ``settings`` and ``facts`` that a folder holds.

    ``save_pretrained(folder)`` writes ``model.safetensors``, ``config.json`` (settings, vocabulary
    and ``facts``, which must be JSON), ``training.safetensors`` (the intervals of the pieces it
    was trained on, where it has them), ``sha256sums.txt`` of these, and a model card;
    ``push_to_hub(id)`` sends them. The same model is the same bytes every time. ``model.half()``
    first: half the size.
    """

    settings: Any
    state_dict: Any  # this and the next two are torch's
    load_state_dict: Any
    eval: Any
    facts: dict
    training_intervals: TrainingIntervals | None  # to see what pieces repeat

    def _save_pretrained(self, save_directory: Path) -> None:
        weights = {name: value.contiguous() for name, value in self.state_dict().items()}
        (save_directory / _WEIGHTS).write_bytes(save(weights))
        made = {"model": self.settings.model_dump(mode="json"), "vocabulary": vocabulary_facts()}
        save_json(self.facts | made | {_FORMAT: FORMAT_VERSION}, save_directory / _CONFIG)
        files = [_WEIGHTS, _CONFIG]
        if self.training_intervals is not None:
            content = {"intervals": self.training_intervals.intervals}
            names = {"names": json.dumps(self.training_intervals.names)}
            (save_directory / _TRAINING).write_bytes(save_arrays(content, names))
            files.append(_TRAINING)
        write_sums(save_directory, files)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, folder: str | Path, *, revision: str | None = None
    ) -> Self:
        """The model of a folder or a Hub id, in single precision and evaluation mode.

        Weights are read as safetensors alone, never unpickled.

        Parameters
        ----------
        folder
            What ``save_pretrained`` wrote, or ``"owner/name"`` or ``"owner/name@commit"`` on the
            Hub, as `giblet.io.hub.model_folder` takes it.
        revision
            On the Hub: commit, branch or tag, instead of the one in the id.

        Raises
        ------
        GibletError
            It is not there, not as it was written, of another vocabulary, or not as the config
            beside it says.
        """
        if revision is not None and not Path(folder).is_dir():
            folder = f"{str(folder).partition('@')[0]}@{revision}"
        place = model_folder(str(folder), "model")
        content = load_json(place / _CONFIG)
        if not isinstance(content, dict) or _FORMAT not in content:
            raise GibletError(f"{place / _CONFIG}: not of a model that giblet wrote")
        check_version(content.pop(_FORMAT), place / _CONFIG)
        training = [_TRAINING] if (place / _TRAINING).exists() else []
        check_sums(place, [_WEIGHTS, _CONFIG, *training], needed=True)
        _check_vocabulary(content.pop("vocabulary", None), folder)
        try:
            model = cls(content.pop("model"))
            model.load_state_dict(load_file(place / _WEIGHTS))
            model.training_intervals = _training_intervals(place)
        except (KeyError, RuntimeError, SafetensorError, TypeError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise GibletError(f"{folder}: no music model can be read from it ({reason})") from error
        model.facts = content
        return model.eval()


def _training_intervals(folder: Path) -> TrainingIntervals | None:
    if not (folder / _TRAINING).is_file():
        return None
    with safe_open(folder / _TRAINING, "numpy") as file:
        return TrainingIntervals(json.loads(file.metadata()["names"]), file.get_tensor("intervals"))


def _check_vocabulary(given: Any, folder: str | Path) -> None:
    """GibletError, with what differs, if a model's tokens are not those of this giblet."""
    if given is None:
        raise GibletError(f"{folder}: is no music model: its config.json has no vocabulary")
    own = vocabulary_facts()
    for name in own:
        if not isinstance(given, dict) or given.get(name) != own[name]:
            other = given.get(name) if isinstance(given, dict) else given
            raise GibletError(
                f"{folder}: a model of another vocabulary: its {name} is {other}, here "
                f"{own[name]}. Use the giblet that made it, or train again"
            )
