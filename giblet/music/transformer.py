"""A causal transformer over tokens and their moments, for long pieces and small memory."""

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from giblet.config.strict import StrictSettings
from giblet.errors import GibletError
from giblet.music.attention import Attention, AttentionCache, AttentionSettings
from giblet.music.grammar import IMPOSSIBLE
from giblet.music.positions import BeatEncoding
from giblet.music.tokens import VOCABULARY

_CHUNK = 1024  # tokens whose logits, or activations inside a layer, exist at a time


class TransformerSettings(StrictSettings):
    """Size and attention of a transformer; the defaults have 3.4 million parameters."""

    width: PositiveInt = 256
    n_heads: PositiveInt = 4
    n_layers: PositiveInt = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    attention: AttentionSettings = AttentionSettings()
    checkpointing: bool = Field(
        False, description="compute activations again in the backward pass, to save memory"
    )


@dataclass
class Caches:
    """What a transformer keeps of the tokens it has seen; made by ``Transformer.new_caches``."""

    layers: list[AttentionCache]
    seconds: torch.Tensor | None = None  # (batch,), of the last token

    @property
    def n_seen(self) -> int:
        """Tokens so far."""
        return self.layers[0].n_seen


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020, arXiv 2002.05202), as large as a plain layer of 4 × width."""

    def __init__(self, width: int):
        super().__init__()
        inner = 64 * -(-8 * width // (3 * 64))  # 8/3 width, rounded up to a multiple of 64
        self.widen = nn.Linear(width, 2 * inner, bias=False)
        self.narrow = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = self.widen(x).chunk(2, dim=-1)
        return self.narrow(functional.silu(gate) * value)


class Layer(nn.Module):
    """Attention and feed-forward, each normalised before and added to its input."""

    def __init__(self, settings: TransformerSettings):
        super().__init__()
        self.attention_norm = nn.LayerNorm(settings.width, bias=False)
        self.attention = Attention(settings.width, settings.n_heads, settings.attention)
        self.feed_norm = nn.LayerNorm(settings.width, bias=False)
        self.feed = FeedForward(settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def attend(
        self, x: torch.Tensor, cache: AttentionCache | None, rotation: torch.Tensor
    ) -> torch.Tensor:
        return x + self.dropout(self.attention(self.attention_norm(x), cache, rotation))

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.dropout(self.feed(self.feed_norm(x)))

    def in_segments(self, x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        """The layer with gradient checkpointing, one segment of tokens after another.

        Only the input is kept, and the keys and values that the next segment needs, through
        which gradients flow. Full attention needs them all: it is one segment.
        """
        size = x.shape[1] if self.attention.settings.kind == "full" else _CHUNK
        state, out = self.attention.new_cache(), []
        for part, angles in zip(x.split(size, 1), rotation.split(size, 1), strict=True):
            after: list[AttentionCache] = []
            out.append(checkpoint(self._segment, part, angles, state, after, use_reentrant=False))
            state = after[0]
        return torch.cat(out, dim=1)

    def _segment(
        self,
        x: torch.Tensor,
        rotation: torch.Tensor,
        state: AttentionCache,
        after: list[AttentionCache],
    ) -> torch.Tensor:
        """One segment, given the cache before it; appends the cache after it, the first time."""
        state = state.copy()
        x = self.feed_forward(self.attend(x, state, rotation))
        if not after:
            after.append(state)
        return x


class Transformer(nn.Module):
    """Tokens with their moments to hidden states, and hidden states to logits.

    ``hidden[:, i]`` predicts the token after ``tokens[:, i]``. So the inputs for a piece are its
    tokens moved on by one, with BOS first (``shift_right``), beside the moments and phases of
    the *predicted* tokens: these are sums of TIME_SHIFTs before them, known before the token is.
    """

    def __init__(self, settings: TransformerSettings):
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(VOCABULARY.n_ids, settings.width)
        self.positions = BeatEncoding(settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.n_layers))
        self.norm = nn.LayerNorm(settings.width, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        """GPT-2's: normal with 0.02, less by depth where a layer adds to the stream.

        Embeddings have ``width ** -0.5``: with 0.02 the many features of a moment drown the token,
        and a small model learns little but when tokens come in its first hundred steps.
        """
        deep = 0.02 / (2 * self.settings.n_layers) ** 0.5
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                adds = name.endswith(("from_heads", "narrow"))
                is_token = isinstance(module, nn.Embedding)
                std = self.settings.width**-0.5 if is_token else deep if adds else 0.02
                nn.init.normal_(module.weight, std=std)
                if getattr(module, "bias", None) is not None:
                    nn.init.zeros_(module.bias)

    def new_caches(self) -> Caches:
        """Empty caches for a batch of sequences, to be passed to ``forward`` again and again."""
        return Caches([layer.attention.new_cache() for layer in self.layers])

    def forward(
        self,
        tokens: torch.Tensor,
        seconds: torch.Tensor,
        phases: torch.Tensor,
        latent: torch.Tensor | None = None,
        caches: Caches | None = None,
    ) -> torch.Tensor:
        """Hidden states (batch, n, width) of a piece, or of its next tokens.

        Pieces of unequal length are padded at the end: no token hears what follows it.

        Parameters
        ----------
        tokens : (batch, n) int64, shifted right
        seconds : (batch, n) s, from the first onset
        phases : (batch, n, 2) cycles, of beat and bar
        latent : (batch, n, width), added to the input of every layer
        caches : of the tokens before; updated in place. Without gradients only
        """
        if caches is not None and torch.is_grad_enabled():
            raise GibletError("caches hold no gradients: use torch.no_grad(), or pass no caches")
        before = caches.seconds if caches else None
        x = self.embedding(tokens) + self.positions(seconds, phases, before)
        x = self.dropout(x)
        rotation = self.layers[0].attention.rotation(x, caches.n_seen if caches else 0)
        for at, layer in enumerate(self.layers):
            if latent is not None:
                x = x + latent
            if self.settings.checkpointing and torch.is_grad_enabled():
                x = layer.in_segments(x, rotation)
            else:
                x = layer.attend(x, caches.layers[at] if caches else None, rotation)
                x = layer.feed_forward(x)
        if caches:
            caches.seconds = seconds[:, -1]
        return self.norm(x)

    def logits(self, hidden: torch.Tensor, possible: torch.Tensor | None = None) -> torch.Tensor:
        """Hidden states (..., width) to logits (..., VOCABULARY.n_ids), by the embedding.

        Ids that are not ``possible`` (..., n_ids) have no probability; by default all are.
        """
        logits = functional.linear(hidden, self.embedding.weight)
        return logits if possible is None else logits.masked_fill(~possible, IMPOSSIBLE)

    def chunked_nats(
        self, hidden: torch.Tensor, targets: torch.Tensor, possible: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Nats (batch, n) of ``targets`` (batch, n) given hidden states: see ``chunked_nats``."""
        return chunked_nats(hidden, targets, self.embedding.weight, possible)

    def nats(
        self,
        tokens: torch.Tensor,
        seconds: torch.Tensor,
        phases: torch.Tensor,
        latent: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Nats (batch, n) of each token given those before it, with gradients.

        Of whole pieces, or crops, without BOS: ``tokens`` (batch, n), their own ``seconds``
        (batch, n) and ``phases`` (batch, n, 2). Nats of PAD are there too: mask them.
        """
        hidden = self(shift_right(tokens), seconds, phases, latent)
        return self.chunked_nats(hidden, tokens)


def shift_right(tokens: torch.Tensor) -> torch.Tensor:
    """BOS and all tokens (batch, n) but the last: what is known before each of them."""
    begin = torch.full_like(tokens[:, :1], VOCABULARY.bos)
    return torch.cat((begin, tokens[:, :-1]), dim=1)


def chunked_nats(
    hidden: torch.Tensor,
    targets: torch.Tensor,
    weight: torch.Tensor,
    possible: torch.Tensor | None = None,
    chunk: int = _CHUNK,
) -> torch.Tensor:
    """Cross-entropy per token, in nats, without the logits of all tokens ever being there.

    The logits of ``chunk`` tokens are computed at a time, and again in the backward pass; nats and
    gradients are exact.

    Parameters
    ----------
    hidden : (..., width)
    targets : (...) int64, ids below n_ids
    weight : (n_ids, width), of the map to logits
    possible : (..., n_ids) bool, ids that may be there; by default all

    Returns
    -------
    nats : (...) float32, or wider where ``hidden`` is
    """

    def nats(hidden: torch.Tensor, targets: torch.Tensor, *possible: torch.Tensor) -> torch.Tensor:
        logits = functional.linear(hidden, weight)
        for may_be in possible:
            logits = logits.masked_fill(~may_be, IMPOSSIBLE)
        wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return functional.cross_entropy(wide, targets, reduction="none")

    rows = [hidden.flatten(0, -2), targets.flatten()]
    if possible is not None:
        rows.append(possible.flatten(0, -2))
    parts = zip(*(values.split(chunk) for values in rows), strict=True)
    if torch.is_grad_enabled():
        chunks = [checkpoint(nats, *part, use_reentrant=False) for part in parts]
    else:
        chunks = [nats(*part) for part in parts]
    return torch.cat(chunks).reshape(targets.shape)
