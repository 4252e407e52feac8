"""Latents on three levels of time: fine (1.5 s), local (6 s) and global (48 s or the piece).

The encoder reads the tokens of each segment of time, whatever their number. Posteriors are
top-down: global first, local given global, fine given both (a ladder, Sønderby et al. 2016). The
encoder's states reach only the posteriors of their own level; the decoder hears ``expand(z)``,
which depends on the encoder through z alone.
"""

from collections.abc import Mapping
from math import tau

import torch
from pydantic import (
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator as validator,
)
from torch import nn

from giblet.config.strict import StrictSettings
from giblet.music.posteriors import Posterior, kl_divergence
from giblet.music.priors import PriorSettings, build_prior
from giblet.music.segments import SegmentEncoder, gather_segments
from giblet.music.tokens import VOCABULARY

LARGEST_LOG_VARIANCE = 8.0  # and smallest: -8
FIRST_LOG_VARIANCE = -4.0  # of posteriors before training: a decoder that hears noise ignores z
FIRST_OUTPUT = 0.2  # size of the signal's weights before training: about as loud as the tokens


class _Level(StrictSettings):
    width: PositiveInt = Field(description="numbers in a segment's latent")
    free_nats: NonNegativeFloat = Field(description="KL per segment without cost: free bits")
    prior: PriorSettings = PriorSettings()


class LevelSettings(_Level):
    """The fine or the local level of latents."""

    seconds: PositiveFloat = Field(description="length of a segment")


class GlobalSettings(_Level):
    """The global level of latents."""

    seconds: PositiveFloat | None = Field(description="length of a segment; null: the whole piece")


class LatentSettings(StrictSettings):
    """Three levels and the encoder. A level's segments hold a whole number of the next finer."""

    model_config = ConfigDict(populate_by_name=True)

    fine: LevelSettings = LevelSettings(seconds=1.5, width=16, free_nats=0.5)
    local: LevelSettings = LevelSettings(seconds=6.0, width=32, free_nats=1.0)
    global_: GlobalSettings = Field(
        GlobalSettings(seconds=48.0, width=64, free_nats=2.0), alias="global"
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of crops whose decoder hears no latents; above 0 the model without them "
        "is a transformer, too",
    )
    n_token_blocks: PositiveInt = Field(3, description="of the encoder, over tokens")
    n_segment_blocks: PositiveInt = Field(1, description="of the encoder, over each level")

    @validator(mode="after")
    def _nest(self):
        for name, low, high in (
            ("local", self.fine.seconds, self.local.seconds),
            ("global", self.local.seconds, self.global_.seconds),
        ):
            if high is not None and (high < low or abs(high / low - round(high / low)) > 1e-9):
                raise ValueError(f"{name}: {high} s is no multiple of the finer level's {low} s")
        return self

    @property
    def levels(self) -> dict[str, LevelSettings | GlobalSettings]:
        """By name, from fine to global."""
        return {"fine": self.fine, "local": self.local, "global": self.global_}

    @property
    def ratios(self) -> tuple[int, int | None]:
        """Fine segments in a local one and local in a global one (None: all)."""
        local, whole = self.local.seconds, self.global_.seconds
        n_fine = round(local / self.fine.seconds)
        return n_fine, None if whole is None else round(whole / local)


class HierarchicalLatents(nn.Module):
    """Encoder, top-down posteriors, priors, and the signal that the decoder hears.

    Seconds count from the piece's or the excerpt's first token. ``width`` is that of the token
    embeddings and of the decoder. Values of z are dictionaries: level -> (batch, n_segments,
    width of the level).
    """

    def __init__(self, width: int, settings: LatentSettings | None = None):
        super().__init__()
        settings = settings or LatentSettings()
        self.settings = settings
        self.encoder = SegmentEncoder(
            width,
            settings.fine.seconds,
            settings.ratios,
            settings.n_token_blocks,
            settings.n_segment_blocks,
        )
        levels = settings.levels
        self.priors = nn.ModuleDict(
            {name: build_prior(level.width, level.prior) for name, level in levels.items()}
        )
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.LayerNorm(width), nn.GELU(), nn.Linear(width, 2 * level.width)
                )
                for name, level in levels.items()
            }
        )
        above = {"fine": ("local", "global"), "local": ("global",), "global": ()}
        self.from_above = nn.ModuleDict(
            {
                name: nn.ModuleDict({a: nn.Linear(levels[a].width, width) for a in coarser})
                for name, coarser in above.items()
            }
        )
        self.to_decoder = nn.ModuleDict(
            {name: nn.Linear(level.width, width) for name, level in levels.items()}
        )
        self.phases = nn.ModuleDict(
            {name: nn.Linear(3, width) for name, level in levels.items() if level.seconds}
        )
        self.output = nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        nn.init.normal_(self.output.weight, std=FIRST_OUTPUT * len(self.output.bias) ** -0.5)
        nn.init.zeros_(self.output.bias)
        for name, level in self.settings.levels.items():
            nn.init.zeros_(self.heads[name][-1].bias)
            nn.init.constant_(self.heads[name][-1].bias[level.width :], FIRST_LOG_VARIANCE)

    def encode(
        self,
        embeddings: torch.Tensor,
        seconds: torch.Tensor,
        mask: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> dict[str, Posterior]:
        """Posteriors of all levels, from global to fine.

        Parameters
        ----------
        embeddings : (batch, n, width) of tokens
        seconds : (batch, n), from 0 on
        mask : (batch, n) bool, False at padding
        generator : draws z; None: z is the posterior's mean
        """
        mask = torch.ones_like(seconds, dtype=torch.bool) if mask is None else mask
        states, occupied = self.encoder(embeddings, seconds, mask)
        posteriors: dict[str, Posterior] = {}
        for name in ("global", "local", "fine"):
            state = states[name]
            for coarser, projection in self.from_above[name].items():
                parents = self.encoder.parents(name, state.shape[1], state.device)[coarser]
                state = state + projection(posteriors[coarser].z)[:, parents]
            head = self.heads[name](state)
            head = head.to(torch.promote_types(head.dtype, torch.float32))
            mean, raw = head.chunk(2, -1)
            log_variance = LARGEST_LOG_VARIANCE * (raw / LARGEST_LOG_VARIANCE).tanh()
            posterior = Posterior(mean, log_variance, mean, occupied[name])
            posteriors[name] = posterior.sampled(generator)
        return posteriors

    def kl(self, posteriors: dict[str, Posterior]) -> dict[str, torch.Tensor]:
        """KL in nats of each level's segments: level -> (batch, n_segments); 0 in empty ones."""
        return {name: kl_divergence(p, self.priors[name]) for name, p in posteriors.items()}

    def log_weights(
        self, posteriors: dict[str, Posterior], log_likelihood: torch.Tensor
    ) -> torch.Tensor:
        """``log p(x | z) + log p(z) - log q(z | x)`` (batch,) in nats, for ``iw_elbo``.

        ``log_likelihood`` (batch,) is the decoder's, of whole pieces, given z of ``posteriors``.
        """
        gaps = [
            ((self.priors[name].log_prob(p.z) - p.log_prob()) * p.occupied).sum(-1)
            for name, p in posteriors.items()
        ]
        return log_likelihood + sum(gaps)

    def n_segments(self, seconds: float) -> dict[str, int]:
        """Level -> segments that a piece of so many seconds has.

        >>> HierarchicalLatents(8).n_segments(50.0)
        {'fine': 34, 'local': 9, 'global': 2}
        """
        return self.encoder.n_segments(seconds)

    @torch.no_grad()
    def sample_prior(
        self, batch: int, seconds: float, generator: torch.Generator | None = None
    ) -> dict[str, torch.Tensor]:
        """Values of z for ``batch`` pieces of so many seconds, drawn from the priors."""
        return {
            name: self.priors[name].sample(batch * n, generator).unflatten(0, (batch, n))
            for name, n in self.n_segments(seconds).items()
        }

    def expand(self, z: Mapping[str, torch.Tensor], seconds: torch.Tensor) -> torch.Tensor:
        """Signal (batch, n, width) for the decoder at the times ``seconds`` (batch, n).

        It depends on the segments that contain each time and on where in them it lies; a time after
        the last segment hears the last. To predict token i + 1 at position i, pass the seconds of
        token i + 1, which the tokens up to i determine.
        """
        signal: torch.Tensor = sum(self.at_times(z, seconds).values(), torch.zeros(()))
        for name, phases in self.phases.items():
            period = self.settings.levels[name].seconds
            phase = seconds.remainder(period) / period
            angles = torch.stack([phase, (tau * phase).sin(), (tau * phase).cos()], -1)
            signal = signal + phases(angles.to(signal.dtype))
        return self.output(nn.functional.gelu(signal))

    def at_times(
        self, z: Mapping[str, torch.Tensor], seconds: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Level -> linear map (batch, n, width) of the latent whose segment contains each time."""
        mapped, indices = {}, self.encoder.indices(seconds)
        for name, values in z.items():
            index = indices[name].clamp(max=values.shape[1] - 1)
            mapped[name] = gather_segments(self.to_decoder[name](values), index)
        return mapped


def word_dropout(tokens: torch.Tensor, rate: float, generator: torch.Generator) -> torch.Tensor:
    """``tokens`` with a share ``rate`` of them hidden as PAD, at random (Bowman et al. 2016).

    For the decoder's input alone, which then has to ask z. Targets, seconds and phases must come
    from the whole tokens. BOS and EOS stay.

    >>> word_dropout(torch.tensor([VOCABULARY.bos, 60, 319]), 1.0, torch.Generator()).tolist()
    [775, 774, 774]
    """
    draws = torch.rand(tokens.shape, generator=generator, device=tokens.device)
    hidden = (draws < rate) & (tokens < VOCABULARY.size)
    return tokens.where(~hidden, VOCABULARY.pad)
