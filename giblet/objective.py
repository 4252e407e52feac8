"""What training lowers: every modality's loss relative to its own baseline."""

from collections.abc import Callable

import torch
from torch import nn

from giblet.checks import GibletError
from giblet.dataset import FilmData
from giblet.models.autoencoder import Autoencoder
from giblet.models.heads import GeometricHead, known_latents
from giblet.models.losses import code_frequencies, masked_mse, unigram_nats
from giblet.settings import TrainingConfig

_ROUNDING = 1e-9  # mean squares below this are float noise around a constant
_FEW_FRAMES = 4  # of a TR, by which training learns how sharp codes are: one number a codebook

SoundDistance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def baselines(data: FilmData, autoencoder: Autoencoder) -> dict[str, float]:
    """Loss of predicting the training mean (code frequencies for codes), by modality.

    Dividing by it puts every modality's loss on one scale: 1 is having learned nothing.
    """
    train = data.slice(data.where("train"))
    audio = train.film["audio"]
    found = _of_codes(audio, autoencoder) if autoencoder.codebooks else {"audio": _spread(audio)}
    if "video" in autoencoder.decoders:
        found["video"] = _spread(train.film["video"].float() / 255)
    if "text" in autoencoder.decoders:
        found["text"] = _spread(train.film["text"])
    if train.bold is not None:
        found["bold"] = float(masked_mse(torch.zeros_like(train.bold), train.bold))
    constant = [modality for modality, baseline in found.items() if baseline < _ROUNDING]
    if constant:
        raise GibletError(
            f"{', '.join(constant)}: constant over the training TRs: nothing to learn"
        )
    return found


def _of_codes(codes: torch.Tensor, autoencoder: Autoencoder) -> dict[str, float]:
    size, unit = autoencoder.shapes.codebook_size, autoencoder.decoders["audio"].head.unit
    nats = float(unigram_nats(codes, codes, size))
    if unit == "nats":
        return {"audio": nats}
    if unit == "latent":
        frames = known_latents(autoencoder.codebooks, codes).flatten(0, 1)
        return {"audio": _spread(frames), "codes": nats}
    places = torch.where(codes >= 0, codes / (size - 1), torch.nan)  # in [0, 1], by codebook
    return {"audio": _spread(places.transpose(1, 2).flatten(0, 1))}


def _spread(values: torch.Tensor) -> float:
    """Mean squared distance from the mean over the first axis, NaN left out."""
    return float(masked_mse(values.nanmean(dim=0).expand_as(values), values))


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
        self.weights = {
            name: getattr(settings, f"{'audio' if name == 'codes' else name}_weight")
            for name in names
        }
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
        if "video" in self.baselines:
            losses["video"] = masked_mse(model.decoders["video"](seen), film["video"] / 255)
        if "text" in self.baselines:
            losses["text"] = masked_mse(model.decoders["text"](seen), film["text"])
        if "bold" in window:
            losses["bold"] = self._of_bold(model, seen, window)
        return {name: x / self.baselines.get(name, 1.0) for name, x in losses.items()}, bottleneck

    def weighted(self, losses: dict[str, torch.Tensor], epoch: int = 0) -> dict[str, torch.Tensor]:
        """Losses times their weights; learned ones as Kendall et al. (2018) have them."""
        found = {name: w * losses[name] for name, w in self.weights.items() if name in losses}
        if self.training:
            for name, scale in self.log_scales.items():
                if name in found:
                    found[name] = found[name] * (-scale).exp() + self.weights[name] * scale
        if "kl" in losses:
            grown = min(1.0, (epoch + 1) / self.settings.kl_epochs)
            found["kl"] = self.settings.kl_weight * grown * losses["kl"]
        return found

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
        if not model.shapes.use_encodec:
            return {"audio": masked_mse(decoder(bottleneck), audio)}
        chosen, frames = self._chosen_frames(audio), decoder.features(bottleneck)
        features, codes = frames[:, chosen], audio[..., chosen]
        losses = {"audio": decoder.head.loss(features, codes)}
        if "codes" in self.baselines:
            few = slice(_FEW_FRAMES if self.training else None)
            losses["codes"] = decoder.head.calibration(features[:, few], codes[..., few])
        if self.sound is not None:
            n_heard = self.settings.sound_trs if self.training else len(audio)
            trs = torch.randperm(len(audio), device=audio.device)[:n_heard]
            latents = decoder.head.latents(frames[trs])
            coded = model.codebooks.latents(model.codebooks.nearest(latents.detach()))
            straight = latents + (coded - latents).detach()  # gradients go straight through
            losses["sound"] = self.sound(straight, model.codebooks.latents(audio[trs]))
        return losses

    def _chosen_frames(self, codes: torch.Tensor) -> torch.Tensor:
        """Frames to score: a random few while training, for speed; all in validation."""
        n_frames = codes.shape[-1]
        n_chosen = self.settings.frames_per_step if self.training else n_frames
        return torch.randperm(n_frames, device=codes.device)[:n_chosen]

    def _of_bold(self, model: Autoencoder, bottleneck: torch.Tensor, window: dict) -> torch.Tensor:
        """BOLD is compared where the window holds all that the HRF reaches back to."""
        decoder = model.decoders["bold"]
        first = 0 if window["begins_run"] else min(len(decoder.kernel), len(bottleneck)) - 1
        predicted = model.predict_bold(bottleneck[None])[0]  # (n_subjects, n_trs, n_voxels)
        return masked_mse(predicted[:, first:], window["bold"][:, first:])


def _emits_latents(autoencoder: Autoencoder) -> bool:
    return isinstance(getattr(autoencoder.decoders["audio"], "head", None), GeometricHead)


def start_at_baseline(autoencoder: Autoencoder, data: FilmData) -> None:
    """Let every decoder of the film begin with what training TRs are like on average."""
    film, shapes = data.slice(data.where("train")).film, autoencoder.shapes
    decoders, audio = autoencoder.decoders, film["audio"]
    decoder = decoders["audio"]
    if "video" in decoders:
        decoders["video"].start_at((film["video"].float() / 255).mean(dim=(0, 1, 2, 3)))
    if "text" in decoders:
        decoders["text"].start_at(film["text"].mean(dim=0))
    if shapes.use_encodec:
        decoder.head.start_at(code_frequencies(audio, shapes.codebook_size))
    else:
        decoder.start_at(audio.nanmean(dim=(0, 2)))
