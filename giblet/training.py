"""Train the autoencoder: every modality's loss relative to its own baseline."""

from dataclasses import dataclass

import lightning
import pandas as pd
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, Dataset, RandomSampler

from giblet.checks import GibletError
from giblet.dataset import FilmData, check_no_overlap, windows
from giblet.models.autoencoder import Autoencoder, Shapes
from giblet.models.losses import code_cross_entropy, code_frequencies, masked_mse, unigram_nats
from giblet.settings import ModelConfig, TrainingConfig

WATCHED = "validation/loss"  # stops training and picks the model: all modalities, as weighted
_ROUNDING = 1e-9  # mean squares below this are float noise around a constant


def baselines(data: FilmData, shapes: Shapes) -> dict[str, float]:
    """Loss of predicting the training mean (unigram frequencies for codes), by modality.

    Dividing by it puts every modality's loss on one scale: 1 is having learned nothing.
    """
    train = data.slice(data.where("train"))
    audio = train.film["audio"]
    if shapes.use_encodec:
        found = {"audio": float(unigram_nats(audio, audio, shapes.codebook_size))}
    else:
        found = {"audio": _spread(audio)}
    if "video" in train.film:
        found["video"] = _spread(train.film["video"].float() / 255)
    if "text" in train.film:
        found["text"] = _spread(train.film["text"])
    if train.bold is not None:
        found["bold"] = float(masked_mse(torch.zeros_like(train.bold), train.bold))
    constant = [modality for modality, baseline in found.items() if baseline < _ROUNDING]
    if constant:
        raise GibletError(
            f"{', '.join(constant)}: constant over the training TRs: nothing to learn"
        )
    return found


def _spread(values: torch.Tensor) -> float:
    """Mean squared distance from the mean over TRs, NaN left out."""
    return float(masked_mse(values.nanmean(dim=0).expand_as(values), values))


class Windows(Dataset):
    """Windows of TRs in a row, each a dict of tensors of one film stretch."""

    def __init__(self, data: FilmData, part: str, window_trs: int):
        self.data = data
        self.windows = windows(data, part, window_trs, step=max(1, window_trs // 2))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict:
        trs = self.windows[i]
        part = self.data.slice(trs)
        begins_run = trs[0] == 0 or self.data.run[trs[0] - 1] != self.data.run[trs[0]]
        window = {"film": part.film, "begins_run": bool(begins_run)}
        return window if part.bold is None else window | {"bold": part.bold}


class BottleneckTraining(lightning.LightningModule):
    """One autoencoder in training; its checkpoint carries all that is needed to build it."""

    def __init__(self, shapes: dict, model: dict, training: dict, baselines: dict):
        super().__init__()
        self.save_hyperparameters()
        self.settings = TrainingConfig.model_validate(training)
        self.autoencoder = Autoencoder(Shapes(**shapes), ModelConfig.model_validate(model))
        self.baselines = baselines

    def losses(self, window: dict) -> dict[str, torch.Tensor]:
        """Each modality's loss on one window, relative to its baseline."""
        model, film = self.autoencoder, window["film"]
        bottleneck = model.encode(film)  # (n_trs, bottleneck_dim)
        decoders = model.decoders
        if model.shapes.use_encodec:
            chosen = self._chosen_frames(film["audio"])
            logits = decoders["audio"].logits(bottleneck, chosen)
            losses = {"audio": code_cross_entropy(logits.float(), film["audio"][..., chosen])}
        else:
            losses = {"audio": masked_mse(decoders["audio"](bottleneck), film["audio"])}
        if "video" in film:
            losses["video"] = masked_mse(decoders["video"](bottleneck), film["video"] / 255)
        if "text" in film:
            losses["text"] = masked_mse(decoders["text"](bottleneck), film["text"])
        if "bold" in window:
            losses["bold"] = self._bold_loss(bottleneck, window)
        return {modality: loss / self.baselines[modality] for modality, loss in losses.items()}

    def _chosen_frames(self, codes: torch.Tensor) -> torch.Tensor:
        """Frames to score: a random few while training, for speed; all in validation."""
        n_frames = codes.shape[-1]
        n_chosen = self.settings.frames_per_step if self.training else n_frames
        return torch.randperm(n_frames, device=codes.device)[:n_chosen]

    def _bold_loss(self, bottleneck: torch.Tensor, window: dict) -> torch.Tensor:
        """BOLD is compared where the window holds all that the HRF reaches back to."""
        decoder = self.autoencoder.decoders["bold"]
        first = 0 if window["begins_run"] else min(len(decoder.kernel), len(bottleneck)) - 1
        predicted = decoder(bottleneck[None])[0]  # (n_subjects, n_trs, n_voxels)
        return masked_mse(predicted[:, first:], window["bold"][:, first:])

    def total(self, losses: dict[str, torch.Tensor]) -> torch.Tensor:
        """Weighted sum over modalities."""
        return sum(getattr(self.settings, f"{name}_weight") * loss for name, loss in losses.items())

    def training_step(self, window, index):
        losses = self.losses(window)
        named = {f"train/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, on_step=False, on_epoch=True, batch_size=1)
        return self.total(losses)

    def validation_step(self, window, index):
        losses = self.losses(window)
        named = {f"validation/{name}": loss for name, loss in losses.items()}
        self.log_dict(named, prog_bar=True, batch_size=1)
        self.log("validation/loss", self.total(losses), batch_size=1)

    def configure_optimizers(self):
        settings = self.settings
        return torch.optim.AdamW(
            self.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )


@dataclass(frozen=True)
class Trained:
    """A trained autoencoder and how it got there."""

    autoencoder: Autoencoder
    baselines: dict[str, float]
    best_epoch: int
    best_loss: float


def fit(
    data: FilmData,
    shapes: Shapes,
    model: ModelConfig,
    training: TrainingConfig,
    seed: int,
    folder: str,
    progress: bool = False,
) -> Trained:
    """Train until the validation loss stops falling, and return the best model.

    Checkpoints and logs (TensorBoard and CSV) go into ``folder``. Test TRs are not looked at.
    """
    check_no_overlap(data, gap_trs=1)
    loaders = _loaders(data, training, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = BottleneckTraining(
            shapes.to_dict(), model.model_dump(), training.model_dump(), baselines(data, shapes)
        )
        _start_at_baseline(module.autoencoder, data)
        best = ModelCheckpoint(folder, filename="best", monitor=WATCHED)
        trainer = lightning.Trainer(
            max_epochs=training.max_epochs,
            accelerator="auto",
            devices=1,
            gradient_clip_val=training.gradient_clip,
            precision="bf16-mixed" if training.bfloat16 else "32-true",
            callbacks=[best, EarlyStopping(WATCHED, patience=training.patience)],
            logger=[TensorBoardLogger(folder, "tensorboard", ""), CSVLogger(folder, "", "")],
            enable_progress_bar=progress,
            enable_model_summary=False,
            log_every_n_steps=1,
            num_sanity_val_steps=0,
        )
        trainer.fit(module, *loaders)
    checkpoint = torch.load(best.best_model_path, weights_only=True, map_location="cpu")
    module.load_state_dict(checkpoint["state_dict"])
    return Trained(
        module.autoencoder.cpu().eval(),
        module.baselines,
        best_epoch=int(checkpoint["epoch"]),
        best_loss=float(best.best_model_score),
    )


def _start_at_baseline(autoencoder: Autoencoder, data: FilmData) -> None:
    """Let the sound decoder begin with what training TRs are like on average."""
    audio, shapes = data.film["audio"][data.where("train")], autoencoder.shapes
    if shapes.use_encodec:
        autoencoder.decoders["audio"].start_at(code_frequencies(audio, shapes.codebook_size))
    else:
        autoencoder.decoders["audio"].start_at(audio.nanmean(dim=(0, 2)))


def _loaders(data: FilmData, training: TrainingConfig, seed: int) -> tuple[DataLoader, DataLoader]:
    """Training windows in random order, each several times in a short film; validation ones."""
    train, validation = (Windows(data, p, training.window_trs) for p in ("train", "validation"))
    order = RandomSampler(
        train,
        replacement=len(train) < training.min_steps,
        num_samples=max(len(train), training.min_steps),
        generator=torch.Generator().manual_seed(seed),
    )
    return DataLoader(train, None, sampler=order), DataLoader(validation, None)


def history(curves: pd.DataFrame) -> pd.DataFrame:
    """One row an epoch from Lightning's rows, of which training and validation have one each."""
    return curves.drop(columns="step").groupby("epoch", as_index=False).first()
