"""Sound, pictures, words and brains on one clock, meeting in a shared bottleneck."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from giblet.moved import explain_old_paths

if TYPE_CHECKING:
    from giblet.autoencoder.autoencoder import Autoencoder

__version__ = version("giblet")
explain_old_paths()


def load(folder: str | Path) -> "Autoencoder":
    """A trained autoencoder to use: in evaluation mode, without gradients.

    Parameters
    ----------
    folder
        A results folder's model (``results/demo/model/encodec``), or an id on the Hugging Face
        Hub: ``"owner/name@commit"`` (without the commit: what the cache holds).

    Returns
    -------
    ``encode({"audio": features})`` takes features of sound (n_trs, n_rows, frames_per_tr), int
    codes or mel in dB, and what else it was trained on, to bottlenecks (n_trs, bottleneck_dim)
    float32; ``decode_audio`` takes these to features of sound again.

    Raises
    ------
    GibletError
        No model there, or none that can be read.

    >>> import torch
    >>> from giblet.audio import AudioProcessor
    >>> from giblet.demo import film_path
    >>> codes, _metadata = AudioProcessor().audio_to_features(film_path(), max_trs=4)
    >>> model = load(Path(__file__).parent / "autoencoder" / "bundled" / "encodec")
    >>> bottleneck = model.encode({"audio": torch.from_numpy(codes)})
    >>> tuple(bottleneck.shape)
    (4, 2048)
    >>> again = model.decode_audio(bottleneck).numpy()
    >>> again.shape == codes.shape == (4, 8, 112)
    True
    >>> bool((again == codes)[:, 0].mean() > 0.3)  # of the first codebook; chance is 0.001
    True
    """
    from giblet.autoencoder.autoencoder import Autoencoder

    return Autoencoder.from_pretrained(folder).requires_grad_(False)
