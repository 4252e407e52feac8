"""``MusicTransformerVAEGAN``: one network that learns scores, in three modes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, model_validator as validator
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.music.adversarial import AdversarialSettings
from giblet.music.generation import continuations
from giblet.music.hub import SavedMusicModel
from giblet.music.inputs import Inputs, encoded, next_positions
from giblet.music.latents import HierarchicalLatents, LatentSettings
from giblet.music.memorisation import TrainingIntervals
from giblet.music.notes import Beats, Notes
from giblet.music.posteriors import Posterior
from giblet.music.tokens import VOCABULARY, checked_tokens
from giblet.music.transformer import Transformer, TransformerSettings
from giblet.music.windows import stream_nats

Latents = Mapping[str, np.ndarray]  # level -> (n_segments, width)
_BUNDLED = Path(__file__).parent / "bundled"


class ModelSettings(StrictSettings):
    """One network for all modes: what is set here decides which."""

    transformer: TransformerSettings = TransformerSettings()
    latents: LatentSettings | None = Field(
        None, description="hierarchical latents; null: mode transformer"
    )
    gan: AdversarialSettings | None = Field(
        None, description="discriminators, in training alone; null: none"
    )

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
        self.latents = None
        if (latents := self.settings.latents) is not None:
            self.latents = HierarchicalLatents(self.settings.transformer.width, latents)
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

    def forward(
        self,
        batch: Inputs,
        caches: Any = None,
        z: Mapping[str, torch.Tensor] | None = None,
        hears: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden states (batch, n_tokens, width) that predict ``batch["targets"]``.

        ``batch`` is as `giblet.music.inputs.encoded` makes it, with a first dimension. Every layer
        hears ``z``: level -> (batch, n_segments, width of the level), in the rows where ``hears``
        (batch,) bool, by default in all.
        """
        signal = None if z is None else self._latents().expand(z, _since_origin(batch))
        if signal is not None and hears is not None:
            signal = signal * hears[:, None, None]
        return self.transformer(
            batch["inputs"], batch["seconds"], batch["phases"], latent=signal, caches=caches
        )

    def posteriors(
        self, batch: Inputs, generator: torch.Generator | None = None
    ) -> dict[str, Posterior]:
        """Posteriors of the latents of all levels; without ``generator`` z is their mean.

        The encoder reads the decoder's embeddings and does not teach them.
        """
        targets = batch["targets"]
        embeddings = self.transformer.embedding(targets).detach()
        is_token = targets != VOCABULARY.pad
        return self._latents().encode(embeddings, _since_origin(batch), is_token, generator)

    def latents_at_targets(
        self, batch: Inputs, z: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Level -> linear map (batch, n_tokens, width) of the latent of each target's segment."""
        return self._latents().at_times(z, _since_origin(batch))

    def _latents(self) -> HierarchicalLatents:
        if self.latents is None:
            raise GibletError("this model has no latents (mode transformer): use one of mode vae")
        return self.latents

    @torch.inference_mode()
    def encode(self, notes: Notes, begin: float | None = None) -> dict[str, np.ndarray]:
        """Latents of a piece: ``fine``, ``local`` and ``global`` (n_segments, width) float32.

        They are posterior means; segments follow one another from the second ``begin`` on, by
        default the first onset, each as long as ``settings.latents`` says. Raises GibletError in
        mode ``transformer``.
        """
        batch = {name: values[None].to(self.device) for name, values in encoded(notes).items()}
        if begin is not None and len(notes):
            batch["origin"] = torch.full((1, 1), begin - float(notes.onset[0]), device=self.device)
        posteriors = self.posteriors(batch)
        return {name: posterior.mean[0].cpu().numpy() for name, posterior in posteriors.items()}

    @torch.no_grad()
    def drawn_latents(self, seconds: float, n_pieces: int = 1, seed: int = 0) -> Latents | None:
        """Latents of pieces drawn from the priors, level -> (n_pieces, n_segments, width); or None
        in mode ``transformer``.
        """
        if self.latents is None:
            return None
        generator = torch.Generator(self.device).manual_seed(seed)
        z = self.latents.sample_prior(n_pieces, seconds, generator)
        return {name: values.cpu().numpy() for name, values in z.items()}

    def as_latents(self, z: Latents | None, n_pieces: int = 1) -> dict[str, torch.Tensor] | None:
        """Arrays (n_segments, width), or one for each of ``n_pieces``, as `forward` takes them."""
        if z is None:
            return None
        tensors = {
            name: torch.as_tensor(values).to(self.device, torch.float32)
            for name, values in z.items()
        }
        return {
            name: values if values.ndim == 3 else values.expand(n_pieces, *values.shape)
            for name, values in tensors.items()
        }

    def target_nats(self, hidden: torch.Tensor, batch: Inputs) -> torch.Tensor:
        """Surprise (batch, n_tokens) float32 of each of ``batch["targets"]``; 0 for PAD.

        It is among the ids that are possible there (`giblet.music.grammar`). The logits of all
        tokens are never in memory at once.
        """
        targets = batch["targets"]
        nats = self.transformer.chunked_nats(hidden, targets, batch["possible"])
        return nats.masked_fill(targets == VOCABULARY.pad, 0.0)

    @torch.inference_mode()
    def nats(
        self,
        tokens: np.ndarray,
        beats: Beats | None = None,
        first_onset: float = 0.0,
        z: Latents | None = None,
    ) -> np.ndarray:
        """Surprise of each token given those before it, in nats.

        Only tokens that the grammar allows have a probability (`giblet.music.grammar`). The piece
        goes through the network in chunks: memory does not grow with its length, but for full
        attention.

        Parameters
        ----------
        tokens : (n_tokens,) integer, as `giblet.music.tokenize` makes them
        beats
            Of the piece, where they are known; the model then knows the phase of each token.
        first_onset
            Where the tokens begin on the beats' clock, in s.
        z
            Level -> (n_segments, width), which the model hears beside the tokens: not in mode
            ``transformer``. By default none, where it was trained without them in part
            (``latents.dropout``). Otherwise one draw from each prior, for the whole piece: it
            knows nothing of it, not even its length.

        Returns
        -------
        nats : (n_tokens,) float32; inf where the grammar does not allow a token, which `tokenize`
            never makes

        Raises
        ------
        GibletError
            A token is outside the vocabulary.
        """
        tokens = checked_tokens(tokens)
        seconds, phases = next_positions(tokens, beats, first_onset)
        moments, signal = seconds[:-1], None
        if z is None and self.latents is not None and not self.latents.settings.dropout:
            z = self.drawn_latents(0.0)  # one segment, which all times hear
        if (values := self.as_latents(z)) is not None:
            at = torch.from_numpy(moments.astype(np.float32)).to(self.device)[None]
            signal = self._latents().expand(values, at)[0]
        return stream_nats(self.transformer, tokens, moments, phases[:-1], latent=signal)

    def generate(
        self,
        seconds: float,
        n_pieces: int = 1,
        primer: Notes | None = None,
        temperature: float = 1.0,
        top_p: float = 0.98,
        seed: int = 0,
        z: Latents | None = None,
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
        z
            Latents of them, from the primer's first onset on, one for all or for each; by default
            drawn from the priors. Not in mode ``transformer``.

        Raises GibletError for a number that is not above 0, or a ``top_p`` above 1.
        """
        return continuations(self, seconds, n_pieces, primer, temperature, top_p, seed, z)


def load(folder: str | Path) -> MusicTransformerVAEGAN:
    """A trained music model: ``"bundled"``, a folder, or an id on the Hugging Face Hub.

    Raises GibletError if it is not there, damaged, or of another vocabulary.
    """
    if str(folder) != "bundled":
        return MusicTransformerVAEGAN.from_pretrained(folder)
    if not (_BUNDLED / "config.json").is_file():
        raise GibletError("this giblet has no bundled music model: give a folder")
    return MusicTransformerVAEGAN.from_pretrained(_BUNDLED)


def _since_origin(batch: Inputs) -> torch.Tensor:
    """Seconds (batch, n_tokens) since the first token of the piece, or of a crop."""
    return (batch["seconds"] - batch.get("origin", 0.0)).clamp(min=0)
