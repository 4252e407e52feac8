"""``MusicTransformerVAEGAN``: one network that learns scores, in three modes."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, model_validator as validator
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.music.generation import continuations
from giblet.music.hub import SavedMusicModel
from giblet.music.inputs import Inputs, checked_tokens, next_positions
from giblet.music.memorisation import TrainingIntervals
from giblet.music.notes import Beats, Notes
from giblet.music.tokens import VOCABULARY
from giblet.music.transformer import Transformer, TransformerSettings
from giblet.music.windows import stream_nats

_BUNDLED = Path(__file__).parent / "bundled"


class ModelSettings(StrictSettings):
    """One network for all modes: what is set here decides which."""

    transformer: TransformerSettings = TransformerSettings()
    latents: None = Field(None, description="hierarchical latents; null: mode transformer")
    gan: None = Field(None, description="discriminators; null: none")

    @property
    def mode(self) -> str:
        """``"transformer"``, ``"vae"`` or ``"vae_gan"``."""
        if self.latents is None:
            return "transformer"
        return "vae" if self.gan is None else "vae_gan"

    @validator(mode="after")
    def _gan_needs_latents(self) -> Self:
        if self.gan is not None and self.latents is None:
            raise ValueError("gan needs latents: set them, or leave gan out")
        return self


class MusicTransformerVAEGAN(nn.Module, SavedMusicModel):
    """A model of tokens of music, each given those before it.

    In mode ``transformer`` it is the ``transformer`` alone; the other modes have the same weights
    under the same names, and their own beside them.

    Parameters
    ----------
    settings
        Of the network, or as JSON has them.

    >>> model = MusicTransformerVAEGAN({"transformer": {"width": 32, "n_layers": 1}})
    >>> model.mode, model.nats(np.array([771, 60, 319, 188])).shape
    ('transformer', (4,))
    """

    def __init__(self, settings: ModelSettings | dict[str, Any]):
        super().__init__()
        self.settings = ModelSettings.model_validate(settings)
        self.transformer = Transformer(self.settings.transformer)
        self.facts: dict[str, Any] = {}
        self.training_intervals: TrainingIntervals | None = None
        self.eval()

    @property
    def mode(self) -> str:
        """``"transformer"``, ``"vae"`` or ``"vae_gan"``."""
        return self.settings.mode

    @property
    def device(self) -> torch.device:
        """The processor that holds the weights."""
        return next(self.parameters()).device

    def forward(self, batch: Inputs, caches: Any = None) -> torch.Tensor:
        """Hidden states (batch, n_tokens, width) that predict ``batch["targets"]``.

        ``batch`` is as `giblet.music.inputs.encoded` makes it, with a first dimension.
        """
        return self.transformer(
            batch["inputs"], batch["seconds"], batch["phases"], latent=None, caches=caches
        )

    def target_nats(self, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Surprise (batch, n_tokens) float32 of each target under its hidden state; 0 for PAD.

        The logits of all tokens are never in memory at once.
        """
        nats = self.transformer.chunked_nats(hidden, targets)
        return nats.masked_fill(targets == VOCABULARY.pad, 0.0)

    def nats(
        self, tokens: np.ndarray, beats: Beats | None = None, first_onset: float = 0.0
    ) -> np.ndarray:
        """Surprise of each token given those before it, in nats.

        The piece goes through the network in chunks: memory does not grow with its length, but for
        full attention.

        Parameters
        ----------
        tokens : (n_tokens,) integer, as `giblet.music.tokenize` makes them
        beats
            Of the piece, where they are known; the model then knows the phase of each token.
        first_onset
            Where the tokens begin on the beats' clock, in s.

        Returns
        -------
        nats : (n_tokens,) float32

        Raises
        ------
        GibletError
            A token is outside the vocabulary.
        """
        tokens = checked_tokens(tokens)
        seconds, phases = next_positions(tokens, beats, first_onset)
        return stream_nats(self.transformer, tokens, seconds[:-1], phases[:-1])

    def generate(
        self,
        seconds: float,
        n_pieces: int = 1,
        primer: Notes | None = None,
        temperature: float = 1.0,
        top_p: float = 0.98,
        seed: int = 0,
    ) -> list[Notes]:
        """Pieces drawn from the model, token by token.

        Parameters
        ----------
        seconds
            How long each is, or less where the model ends it; with a primer, what follows it.
        primer
            A beginning that they go on from, with its beats, where it has them.
        temperature
            Below 1 likely tokens are drawn more often than the model expects them.
        top_p
            Tokens are drawn from the likeliest ones that together have this probability.

        Raises GibletError for a number that is not above 0, or a ``top_p`` above 1.
        """
        return continuations(self, seconds, n_pieces, primer, temperature, top_p, seed)


def load(folder: str | Path) -> MusicTransformerVAEGAN:
    """A trained music model: ``"bundled"``, a folder, or an id on the Hugging Face Hub.

    Raises GibletError if it is not there, damaged, or of another vocabulary.
    """
    if str(folder) != "bundled":
        return MusicTransformerVAEGAN.from_pretrained(folder)
    if not (_BUNDLED / "config.json").is_file():
        raise GibletError("this giblet has no bundled music model: give a folder")
    return MusicTransformerVAEGAN.from_pretrained(_BUNDLED)
