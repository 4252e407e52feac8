"""The training loss: every modality's loss relative to its own baseline."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from giblet.alignment.dataset import FilmData
from giblet.audio.codecs.codec import Codec
from giblet.autoencoder.autoencoder import Autoencoder
from giblet.autoencoder.code_heads import GeometricHead, known_latents
from giblet.autoencoder.losses import code_frequencies, masked_mse, unigram_nats
from giblet.codec_training.losses import WeightedLosses
from giblet.config.sections import TrainingConfig
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES, beside_sound

_ROUNDING = 1e-9  # mean squares below this are float noise around a constant
_TRS_AT_ONCE = 32
_FEW_FRAMES = 4  # of a TR, for the calibration of codes: one number a codebook
_EVERY_FRAME = 4  # for the same in validation: a quarter of the frames
_FEWEST_HEARD = 12  # TRs of a validation window whose sound is decoded, where there are so many

SoundDistance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def baselines(data: FilmData, autoencoder: Autoencoder) -> dict[str, float]:
    """Loss of predicting the training mean (code frequencies for codes), by modality.

    Dividing by it puts every modality's loss on one scale: 1 is having learned nothing.
    """
    film, trs = data.film, _training_trs(data)
    if autoencoder.codebooks:
        losses = _of_codes(film["audio"][trs], autoencoder)
    else:
        losses = {"audio": _spread(film["audio"], trs)}
    for name, modality in beside_sound().items():
        if name in autoencoder.decoders:
            losses[name] = _spread(film[name], trs) / modality.scale**2
    if data.bold is not None:
        losses["bold"] = _mean_square(data.bold.transpose(0, 1), trs)
    constant = [modality for modality, baseline in losses.items() if baseline < _ROUNDING]
    if constant:
        raise GibletError(
            f"{', '.join(constant)}: constant over the training TRs: nothing to learn"
        )
    return losses


def _training_trs(data: FilmData) -> torch.Tensor:
    return torch.from_numpy(data.where("train"))


def _of_codes(codes: torch.Tensor, autoencoder: Autoencoder) -> dict[str, float]:
    size, unit = autoencoder.shapes.codebook_size, autoencoder.decoders["audio"].head.unit
    nats, trs = float(unigram_nats(codes, codes, size)), torch.arange(len(codes))
    if unit == "nats":
        return {"audio": nats}
    if unit == "latent":
        books = autoencoder.codebooks
        return {"audio": _spread(codes, trs, lambda c: known_latents(books, c)), "codes": nats}
    places = torch.where(codes >= 0, codes / (size - 1), torch.nan)  # in [0, 1], by codebook
    return {"audio": _spread(places, trs, lambda c: c.transpose(1, 2))}


def _blocks(
    values: torch.Tensor, trs: torch.Tensor, frames: Callable | None
) -> Iterator[torch.Tensor]:
    """Rows of these TRs, float64, a few at once: a long film's pictures would take gigabytes.

    ``frames`` makes (n_trs, n_frames, …) of TRs, whose frames are rows; without it TRs are.
    """
    for some in trs.split(_TRS_AT_ONCE):
        block = values[some]
        yield (block if frames is None else frames(block).flatten(0, 1)).double()


def _mean(values: torch.Tensor, trs: torch.Tensor, frames: Callable | None = None) -> torch.Tensor:
    """Mean over rows, see `_blocks`; NaN left out."""
    total, n = 0.0, 0
    for rows in _blocks(values, trs, frames):
        total, n = total + rows.nansum(dim=0), n + (~rows.isnan()).sum(dim=0)
    return total / n


def _mean_square(
    values: torch.Tensor,
    trs: torch.Tensor,
    frames: Callable | None = None,
    origin: torch.Tensor | float = 0.0,
) -> float:
    """Mean squared distance of rows from ``origin``, see `_blocks`; NaN left out."""
    total, n = 0.0, 0
    for rows in _blocks(values, trs, frames):
        total += float((rows - origin).square().nansum())
        n += int((~rows.isnan()).sum())
    return total / max(n, 1)


def _spread(values: torch.Tensor, trs: torch.Tensor, frames: Callable | None = None) -> float:
    """Mean squared distance of rows from their mean."""
    return _mean_square(values, trs, frames, _mean(values, trs, frames))


class Objective(nn.Module):
    """Losses of one window of a film, each relative to its baseline, and their weighted sum.

    ``sound``: how far two sets of latents (n_trs, n_frames, codebook_dim) sound apart, 1 for
    silence; None leaves that loss out.
    """

    def __init__(
        self,
        autoencoder: Autoencoder,
        settings: TrainingConfig,
        baselines: dict[str, float],
        sound: SoundDistance | None = None,
    ):
        super().__init__()
        self.settings, self.baselines = settings, baselines
        self._model = (autoencoder,)  # whose weights are another module's to save
        self.sound = sound if _emits_latents(autoencoder) and settings.sound_weight else None
        names = [*baselines, *(["sound"] if self.sound else [])]
        self.weights = {name: _weight(name, settings) for name in names}
        learned = settings.balance == "uncertainty"
        self.log_scales = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(())) for name in names if learned}
        )

    def forward(self, window: dict) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Losses by name, and the bottleneck (n_trs, bottleneck_dim) they all come from."""
        (model,) = self._model
        film = window["film"]
        bottleneck, losses = model.encode(film, self._hidden(film)), {}
        seen = bottleneck
        if model.config.variational:
            drawn, nats = model.spread(bottleneck)
            seen = drawn if self.training else bottleneck
            losses["kl"] = nats.mean(dim=0).clamp(min=self.settings.free_nats).mean()
        losses |= self._of_sound(model, seen, film["audio"])
        for name, modality in beside_sound().items():
            if name in self.baselines:
                target = film[name] / modality.scale
                losses[name] = masked_mse(model.decoders[name](seen), target)
        if "bold" in window:
            losses["bold"] = self._of_bold(model, seen, window)
        return {name: x / self.baselines.get(name, 1.0) for name, x in losses.items()}, bottleneck

    def weighted(self, losses: dict[str, torch.Tensor], epoch: int = 0) -> dict[str, torch.Tensor]:
        """Losses times their weights; learned ones as Kendall et al. (2018) have them."""
        weighted = {name: w * losses[name] for name, w in self.weights.items() if name in losses}
        if self.training:
            for name, scale in self.log_scales.items():
                if name in weighted:
                    weighted[name] = weighted[name] * (-scale).exp() + self.weights[name] * scale
        if "kl" in losses:
            grown = min(1.0, (epoch + 1) / self.settings.kl_epochs)
            weighted["kl"] = self.settings.kl_weight * grown * losses["kl"]
        return weighted

    def _hidden(self, film: dict) -> dict[str, torch.Tensor] | None:
        """Modalities and TRs that the encoder may know, at random while training."""
        (model,) = self._model
        shown = [modality for modality in model.encoders if modality in film]
        if not (self.training and self.settings.modality_dropout and len(shown) > 1):
            return None
        share, n_trs = 1 - self.settings.modality_dropout, len(film["audio"])
        device = film["audio"].device
        return {modality: torch.rand(n_trs, device=device) < share for modality in shown}

    def _of_sound(self, model: Autoencoder, bottleneck: torch.Tensor, audio: torch.Tensor) -> dict:
        decoder = model.decoders["audio"]
        if model.codebooks is None:
            return {"audio": masked_mse(decoder(bottleneck), audio)}
        if self.training:  # neighbouring TRs are alike: a few say as much, in a third of the time
            scored = torch.randperm(len(audio), device=audio.device)[: self.settings.audio_trs]
            bottleneck, audio = bottleneck[scored], audio[scored]
        chosen, frames = self._chosen_frames(audio), decoder.features(bottleneck)
        features, codes = frames[:, chosen], audio[..., chosen]
        losses = {"audio": decoder.head.loss(features, codes)}
        if "codes" in self.baselines:
            few = slice(_FEW_FRAMES) if self.training else slice(None, None, _EVERY_FRAME)
            losses["codes"] = decoder.head.calibration(features[:, few], codes[..., few])
        if self.sound is not None:
            trs = self._heard_trs(audio)
            latents = decoder.head.latents(frames[trs])
            coded = model.codebooks.latents(model.codebooks.nearest(latents.detach()))
            straight = latents + (coded - latents).detach()  # gradients go straight through
            losses["sound"] = self.sound(straight, model.codebooks.latents(audio[trs]))
        return losses

    def _chosen_frames(self, codes: torch.Tensor) -> torch.Tensor:
        """Frames to score: a random few while training, for speed; all in validation."""
        n_frames = codes.shape[-1]
        if not self.training:
            return torch.arange(n_frames, device=codes.device)
        return torch.randperm(n_frames, device=codes.device)[: self.settings.frames_per_step]

    def _heard_trs(self, audio: torch.Tensor) -> torch.Tensor:
        """TRs whose sound is decoded: a random few while training. In validation some at equal
        distances, the same in every epoch, which therefore compare."""
        n_trs = len(audio)
        if not self.training:
            return torch.arange(0, n_trs, max(1, n_trs // _FEWEST_HEARD), device=audio.device)
        return torch.randperm(n_trs, device=audio.device)[: self.settings.sound_trs]

    def _of_bold(self, model: Autoencoder, bottleneck: torch.Tensor, window: dict) -> torch.Tensor:
        """BOLD is compared where the window holds all that the HRF reaches back to."""
        decoder = model.decoders["bold"]
        first = 0 if window["begins_run"] else min(len(decoder.kernel), len(bottleneck)) - 1
        predicted = decoder(model.join.slow(bottleneck[None]))[0]  # (n_subjects, n_trs, n_voxels)
        return masked_mse(predicted[:, first:], window["bold"][:, first:])


def _weight(loss: str, settings: TrainingConfig) -> float:
    name = "audio" if loss == "codes" else loss
    own = MODALITIES[name].weight if name in MODALITIES else None
    return getattr(settings, f"{name}_weight", own)


def _emits_latents(autoencoder: Autoencoder) -> bool:
    return isinstance(getattr(autoencoder.decoders["audio"], "head", None), GeometricHead)


def start_at_baseline(autoencoder: Autoencoder, data: FilmData) -> None:
    """Let every decoder of the film begin with what training TRs are like on average."""
    film, trs, decoders = data.film, _training_trs(data), autoencoder.decoders
    audio, decoder = film["audio"], decoders["audio"]
    for name, modality in beside_sound().items():
        if name in decoders:
            frames = (lambda v: v.flatten(1, -2)) if film[name].ndim > 2 else None
            decoders[name].start_at(_mean(film[name], trs, frames) / modality.scale)
    if autoencoder.codebooks is not None:
        decoder.head.start_at(code_frequencies(audio[trs], autoencoder.shapes.codebook_size))
    else:
        decoder.start_at(_mean(audio, trs, lambda a: a.transpose(1, 2)))


_LOSSES = {"log_mel": 3.0, "phase": 2.0}  # as the bundled codec is trained


class LatentDistance:
    """Of two sets of latents: how far apart they sound, 0 for alike, near 1 for silence."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.losses = WeightedLosses(_LOSSES, codec.sample_rate)

    def __call__(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Both (n_trs, n_frames, codebook_dim); every TR is heard by itself."""
        self._move(estimate.device)
        with torch.no_grad():
            wanted = self.codec.sound(target)
        heard = self.codec.sound(estimate)
        _each, total = self.losses(heard.float(), wanted.float())
        return total / sum(_LOSSES.values())

    def _move(self, device: torch.device) -> None:
        """To where the latents are; the codec that was given stays where it was."""
        if self.codec.model.device != device:
            self.codec = replace(self.codec, model=deepcopy(self.codec.model).to(device))
            self.losses.to(device)
