"""Two ways from a score to numbers in each TR and back: latents of a music model, or the roll.

Both have ``code``, level → (n_trs, width), which is decoded from BOLD; ``shown``, level → (n_trs,
n_features), the truth that moments are identified by; ``views``, the same of a decoded code;
``unknown``, codes that know nothing of the piece; and ``notes``, the way back.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch

from giblet.alignment.dataset import PARTS, FilmData
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.inference import bottlenecks
from giblet.errors import GibletError
from giblet.evaluation.brain_scores import held_out_stretches
from giblet.music.generation import Hearing, draw_tokens
from giblet.music.model import MusicTransformerVAEGAN
from giblet.music.notes import Notes
from giblet.music.passages import laid_out, passages, roll_notes
from giblet.music.tokens import VOCABULARY, detokenize
from giblet.timing import frames_rate_hz, samples_duration, tr_onsets

Levels = Mapping[str, np.ndarray]  # level → one row a TR
N_DRAWS = 4  # of pieces from the same latents, and of latents from the priors


class ScoreCode(Protocol):
    """A score in numbers, and the way back; see the module."""

    code: Levels
    shown: Levels
    seconds: Mapping[str, float]  # level → for which a value holds
    is_read_out: bool  # notes follow from the code; else they are drawn, which takes long

    def views(self, levels: Levels) -> Levels:
        """What moments are identified by, of held-out TRs."""
        ...

    def unknown(self, seed: int) -> list[Levels]:
        """Codes of the held-out TRs from the priors, or the training mean."""
        ...

    def drawn(self, levels: Levels) -> list[Levels]:
        """The code as often as notes are to be drawn from it."""
        ...

    def notes(self, several: Sequence[Levels], seed: int) -> list[Notes]:
        """Notes of the held-out TRs, one after the other, of several codes."""
        ...


class LatentCode:
    """Latents of three levels: each part of the film is encoded by itself, so that no latent of
    held-out TRs depends on training TRs. Segments count from the beginning of a stretch of TRs.

    Parameters
    ----------
    piece : notes on the film's clock
    trs : (n_trs,) number of each TR of ``data`` in the film
    """

    is_read_out = False

    def __init__(
        self,
        model: MusicTransformerVAEGAN,
        piece: Notes,
        data: FilmData,
        trs: np.ndarray,
        t_r: float,
    ):
        assert model.settings.latents is not None
        self.model, self.t_r = model, t_r
        self.stretches = held_out_stretches(data)
        self.n_test = len(data.where("test"))
        levels = model.settings.latents.levels
        self.seconds = {name: float(level.seconds or np.inf) for name, level in levels.items()}
        self.code = {n: np.zeros((len(trs), level.width)) for n, level in levels.items()}
        for part in PARTS:
            stretches = data.stretches(part)
            for notes, stretch in zip(passages(piece, trs, stretches, t_r), stretches, strict=True):
                for name, values in self._encoded(notes, len(stretch)).items():
                    self.code[name][stretch] = values
        self.shown = self.code

    def _encoded(self, notes: Notes, n_trs: int) -> Levels:
        if not len(notes):
            return {}
        z = self.model.encode(notes, begin=0.0)
        return {name: self._spread(name, z[name], n_trs) for name in z}

    def _spread(self, name: str, z: np.ndarray, n_trs: int) -> np.ndarray:
        """Segments (n_segments, width) → TRs; 0 after the last segment."""
        held = self._held(name, n_trs)
        n_segments = held.shape[1]
        z = np.pad(z[:n_segments], ((0, max(0, n_segments - len(z))), (0, 0)))
        return held @ z / held.sum(axis=1, keepdims=True)

    def _held(self, name: str, n_trs: int) -> np.ndarray:
        """Seconds (n_trs, n_segments) of each TR that lie in each segment."""
        edges = tr_onsets(n_trs + 1, self.t_r)
        length = min(self.seconds[name], edges[-1])
        ends = length * np.arange(1, int(np.ceil(edges[-1] / length - 1e-9)) + 1)
        first = np.maximum(edges[:-1, None], ends - length)
        return np.clip(np.minimum(edges[1:, None], ends) - first, 0, None)

    def views(self, levels: Levels) -> Levels:
        return levels

    def unknown(self, seed: int) -> list[Levels]:
        drawn = []
        for k in range(N_DRAWS):
            levels = {name: np.zeros((self.n_test, c.shape[1])) for name, c in self.code.items()}
            for number, stretch in enumerate(self.stretches):
                end = float(tr_onsets(len(stretch) + 1, self.t_r)[-1])
                z = self.model.drawn_latents(end, 1, seed + k + N_DRAWS * number)
                for name, values in (z or {}).items():
                    levels[name][stretch] = self._spread(name, values[0], len(stretch))
            drawn.append(levels)
        return drawn

    def drawn(self, levels: Levels) -> list[Levels]:
        return [levels] * N_DRAWS

    def notes(self, several: Sequence[Levels], seed: int) -> list[Notes]:
        generator = torch.Generator().manual_seed(seed)
        parts = [self._generated(several, one, generator) for one in self.stretches]
        return [laid_out(each, self.stretches, self.t_r) for each in zip(*parts, strict=True)]

    def _generated(self, several: Sequence[Levels], stretch: np.ndarray, generator) -> list[Notes]:
        end = float(tr_onsets(len(stretch) + 1, self.t_r)[-1])
        z = {}
        for name in self.code:
            held = self._held(name, len(stretch)).T
            weights = held / held.sum(axis=1, keepdims=True)
            z[name] = np.stack([weights @ levels[name][stretch] for levels in several])
        hearing = Hearing(self.model, z=self.model.as_latents(z, len(several)))
        nothing = np.zeros(0, np.int64)
        options = (len(several), end, 1.0, 0.98, generator)
        drawn = draw_tokens(hearing, nothing, *options, may_end=False)
        return [detokenize(tokens).between(0.0, end) for tokens in drawn]


class RollCode:
    """The readout of the score in the autoencoder: bottleneck → piano roll.

    Raises GibletError where the model was trained without a score.
    """

    is_read_out = True

    def __init__(self, autoencoder: Autoencoder, data: FilmData, t_r: float):
        if "score" not in data.film or "score" not in autoencoder.decoders:
            raise GibletError(
                "the model was trained without this score, which never changes in the training "
                "TRs or was not given: run sync_align and train again with it, or name a "
                "music.latent_model"
            )
        self.decoder, roll = autoencoder.decoders["score"], data.film["score"].numpy()
        n_trs, n_steps = roll.shape[:2]
        self.code = {"bottleneck": bottlenecks(autoencoder, data)}
        self.shown = {"bottleneck": roll.reshape(n_trs, -1).astype(float)}
        self.seconds = {"bottleneck": t_r}
        self.step_seconds = samples_duration(1, frames_rate_hz(n_steps, t_r))
        self.train, self.n_test = data.where("train"), len(data.where("test"))
        heard = [one for one in data.stretches("train") if roll[one].any()]
        known = roll[np.concatenate(heard)]  # not of stimuli without a score
        cells = known[..., VOCABULARY.n_pitches :]
        self.n_notes = round(float(cells.mean()) * cells[0].size * self.n_test)
        self.share = float(known[..., : VOCABULARY.n_pitches].mean())

    @torch.inference_mode()
    def views(self, levels: Levels) -> Levels:
        code = torch.from_numpy(np.asarray(levels["bottleneck"], dtype=np.float32))
        return {"bottleneck": self.decoder(code).flatten(1).numpy()}

    def unknown(self, seed: int) -> list[Levels]:
        mean = self.code["bottleneck"][self.train].mean(axis=0)
        return [{"bottleneck": np.tile(mean, (self.n_test, 1))}]

    def drawn(self, levels: Levels) -> list[Levels]:
        return [levels]

    def notes(self, several: Sequence[Levels], seed: int) -> list[Notes]:
        rolls = [self.views(levels)["bottleneck"] for levels in several]
        width = 2 * VOCABULARY.n_pitches
        facts = (self.n_notes, self.share, self.step_seconds)
        return [roll_notes(roll.reshape(-1, width), *facts) for roll in rolls]
