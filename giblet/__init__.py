"""Aligns a film's sound, video and words with BOLD, and learns a bottleneck that they share."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.moved import explain_old_paths

if TYPE_CHECKING:
    from giblet.audio.metrics.scores import score_sound as score_sound
    from giblet.audio.processor import AudioProcessor as AudioProcessor
    from giblet.autoencoder.autoencoder import Autoencoder
    from giblet.brain.bold import load_bids as load_bids
    from giblet.brain.nifti import to_nifti as to_nifti
    from giblet.evaluation.decoder import Decoder as Decoder
    from giblet.notebook.results import results as results

    __version__: str

_FROM = {  # what one needs in a notebook → the module that has it, imported when it is first used
    "AudioProcessor": "audio.processor",
    "Decoder": "evaluation.decoder",
    "load_bids": "brain.bold",
    "results": "notebook.results",
    "score_sound": "audio.metrics.scores",
    "to_nifti": "brain.nifti",
}
explain_old_paths()


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("giblet")
    if name not in _FROM:
        raise AttributeError(f"module 'giblet' has no attribute {name!r}")
    return getattr(import_module(f"giblet.{_FROM[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*_FROM, "load", "__version__"])


def load(folder: str | Path) -> "Autoencoder":
    """A trained autoencoder to use: in evaluation mode, without gradients.

    Parameters
    ----------
    folder
        A results folder's model (``results/demo/model/encodec``), or an id on the Hugging Face
        Hub: ``"owner/name@commit"`` (without the commit: what the cache holds).

    Returns
    -------
    ``encode`` takes features of sound (n_trs, n_rows, frames_per_tr), int codes or mel in dB, or
    a dict of these as ``audio`` and what else it was trained on, to bottlenecks (n_trs,
    bottleneck_dim) float32; ``decode_audio`` takes these to features of sound again. Arrays give
    arrays, tensors give tensors.

    Raises
    ------
    GibletError
        No model there, or none that can be read.

    >>> import giblet
    >>> from giblet.demo import film_path
    >>> codes, _metadata = giblet.AudioProcessor().audio_to_features(film_path(), max_trs=4)
    >>> model = load(Path(__file__).parent / "autoencoder" / "bundled" / "encodec")
    >>> bottleneck = model.encode(codes)
    >>> bottleneck.shape
    (4, 2048)
    >>> again = model.decode_audio(bottleneck)
    >>> again.shape == codes.shape == (4, 8, 112)
    True
    >>> bool((again == codes)[:, 0].mean() > 0.3)  # of the first codebook; chance is 0.001
    True
    """
    from giblet.autoencoder.autoencoder import Autoencoder

    return Autoencoder.from_pretrained(folder).requires_grad_(False)
