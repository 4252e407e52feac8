"""Train an EnCodec on sounds: reconstruction losses, residual VQ started late."""

import math
from os.path import exists

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader
from transformers import EncodecModel

from giblet.checks import GibletError
from giblet.codec.data import RandomCrops, Sounds
from giblet.codec.losses import MultiScaleSpectralLoss
from giblet.codec.networks import build_encodec, start_near_identity
from giblet.codec.quantizer import build_quantizer, copy_codebooks
from giblet.codec.settings import CodecSettings


class CodecTraining(lightning.LightningModule):
    """One codec in training; ``export()`` gives the finished ``EncodecModel``."""

    def __init__(self, settings: dict):
        super().__init__()
        self.save_hyperparameters()
        self.settings = CodecSettings.model_validate(settings)
        self.model = build_encodec(**self.settings.encodec_fields())
        self.quantizer = build_quantizer(self.model)
        self.spectral = MultiScaleSpectralLoss(self.model.config.sampling_rate)
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("codebooks_started", torch.tensor(False))

    def go_on_from(self, start: EncodecModel) -> None:
        """Take the weights of a trained codec; its codebooks start anew on the latents it makes."""
        try:
            self.model.load_state_dict(start.state_dict())
        except RuntimeError as error:
            wrong = str(error).splitlines()[1].strip()
            raise GibletError(f"start_from is another network than the recipe's: {wrong}") from None
        self.started.fill_(True)

    def _autocast(self):
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.settings.bfloat16 and self.training
        )

    def encode(self, waveform: torch.Tensor) -> torch.Tensor:
        """(batch, 1, n_samples) → latents (batch, n_frames, codebook_dim), before quantization."""
        with self._autocast():
            return self.model.encoder(waveform).float().transpose(1, 2)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents (batch, n_frames, codebook_dim) → waveform (batch, 1, n_samples)."""
        with self._autocast():
            return self.model.decoder(latents.transpose(1, 2)).float()

    def on_train_batch_start(self, batch, batch_idx):
        if not self.started:
            start_near_identity(self.model, batch)
            self.started.fill_(True)
        late = self.global_step >= self.settings.steps_without_codebooks
        if late and not self.codebooks_started:
            self._start_codebooks()

    @torch.no_grad()
    def _start_codebooks(self):
        """One k-means over many batches: a single batch has fewer vectors than codewords."""
        batches = iter(self.trainer.train_dataloader)
        n = self.settings.batches_for_kmeans
        latents = [self.encode(next(batches).to(self.device)) for _ in range(n)]
        self.quantizer.quantize_dropout = False  # a codebook left out would start from one batch
        self.quantizer(torch.cat(latents))
        self.quantizer.quantize_dropout = True
        self.codebooks_started.fill_(True)

    def training_step(self, batch, batch_idx):
        latents = self.encode(batch)
        commitment = latents.new_zeros(())
        if self.codebooks_started:
            latents, _codes, commitments = self.quantizer(latents)
            commitment = commitments.mean()
        estimate = self.decode(latents)[..., : batch.shape[-1]]  # the last frame may reach beyond
        losses = self.spectral(estimate[:, 0], batch[:, 0])
        losses["commitment"] = commitment
        self.log_dict({f"train/{k}": v for k, v in losses.items()}, prog_bar=True)
        return sum(getattr(self.settings, f"{name}_weight") * v for name, v in losses.items())

    def validation_step(self, batch, batch_idx):
        latents = self.encode(batch)
        if self.codebooks_started:
            latents, _codes, _ = self.quantizer(latents)
        estimate = self.decode(latents)[..., : batch.shape[-1]]
        for name, value in self.spectral(estimate[:, 0], batch[:, 0]).items():
            self.log(f"validation/{name}", value)
        error = (estimate - batch).square().sum(dim=-1)
        snr_db = 10 * torch.log10(batch.square().sum(dim=-1).clamp(1e-6) / error.clamp(1e-6))
        self.log("validation/snr_db", snr_db.mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.settings.learning_rate,
            betas=(0.8, 0.99),
            weight_decay=0.0,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._schedule)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def _schedule(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to 2 %."""
        warm = min(1.0, (step + 1) / self.settings.warmup_steps)
        return warm * (0.51 + 0.49 * math.cos(math.pi * min(1.0, step / self.settings.steps)))

    def export(self) -> EncodecModel:
        """The trained codec, with the codebooks in place."""
        if not self.codebooks_started:
            raise RuntimeError("the codebooks were never started: train for more steps")
        copy_codebooks(self.quantizer, self.model)
        return self.model.eval()


def fit_codec(
    train: Sounds,
    validation: Sounds,
    settings: CodecSettings,
    folder: str,
    start: EncodecModel | None = None,
    progress: bool = False,
) -> EncodecModel:
    """Train a codec on sounds (kind → waveforms (n_samples,) at 24 kHz), fine-tuning ``start``.

    Checkpoints and curves go into ``folder``; a run that finds its last checkpoint there goes on
    from it, with crops it has not yet seen.

    Raises GibletError if ``start`` is another network than ``settings`` describe.
    """
    last = f"{folder}/last.ckpt"
    resumed_from = torch.load(last, weights_only=True)["global_step"] if exists(last) else 0
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        module = CodecTraining(settings.model_dump())
        if start is not None:
            module.go_on_from(start)
        rate = module.model.config.sampling_rate
        crops = RandomCrops(train, rate, settings, seed=settings.seed + resumed_from)
        checks = RandomCrops(validation, rate, settings, seed=settings.seed)
        trainer = lightning.Trainer(
            max_steps=settings.steps,
            accelerator="auto",
            devices=1,
            gradient_clip_val=settings.gradient_clip,
            callbacks=[ModelCheckpoint(folder, save_last=True, every_n_train_steps=250)],
            logger=[TensorBoardLogger(folder, "tensorboard", ""), CSVLogger(folder, "", "")],
            val_check_interval=250,
            limit_val_batches=6,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            enable_progress_bar=progress,
        )
        trainer.fit(
            module,
            DataLoader(crops, settings.batch_size),
            DataLoader(checks, settings.batch_size),
            ckpt_path=last if resumed_from else None,
        )
    return module.export()
