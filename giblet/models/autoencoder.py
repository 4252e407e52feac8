"""The multimodal autoencoder: encoders, the shared bottleneck, decoders."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from giblet.models.decoder import (
    AudioDecoder,
    BoldDecoder,
    MelDecoder,
    TextDecoder,
    VideoDecoder,
)
from giblet.models.encoder import AudioEncoder, MelEncoder, TextEncoder, VideoEncoder
from giblet.settings import ModelConfig
from giblet.store import load_json, save_json


@dataclass(frozen=True)
class Shapes:
    """What the data look like: all that a model must know of them.

    ``video`` and ``n_text`` are None for a film without pictures or words, ``subjects`` empty
    without a scan.
    """

    use_encodec: bool
    n_rows: int  # codebooks or mel bands
    frames_per_tr: int
    codebook_size: int = 1024
    video: tuple[int, int, int] | None = None  # (n_frames, height, width) per TR
    n_text: int | None = None
    n_voxels: int = 0
    subjects: tuple[str, ...] = ()
    hrf_kernel: tuple[float, ...] = field(default=(), repr=False)

    def to_dict(self) -> dict:
        """For JSON and checkpoints."""
        return asdict(self)


class Autoencoder(nn.Module):
    """Film → bottleneck → film and BOLD.

    A modality that the film lacks contributes zeros to the concatenation, which is always
    ``audio_dim + video_dim + text_dim`` (256 + 1024 + 256 = 1536) wide.
    """

    def __init__(self, shapes: Shapes, config: ModelConfig):
        super().__init__()
        self.shapes, self.config = shapes, config
        n_bottleneck = config.bottleneck_dim
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        self._build_audio()
        if shapes.video:
            self.encoders["video"] = VideoEncoder(config.video_dim)
            self.decoders["video"] = VideoDecoder(n_bottleneck, *shapes.video)
        if shapes.n_text:
            self.encoders["text"] = TextEncoder(shapes.n_text, config.text_dim)
            self.decoders["text"] = TextDecoder(n_bottleneck, shapes.n_text)
        if shapes.subjects:
            self.decoders["bold"] = BoldDecoder(
                n_bottleneck,
                shapes.n_voxels,
                list(shapes.subjects),
                shapes.hrf_kernel,
                config.readout_rank,
            )
        self.widths = {m: getattr(config, f"{m}_dim") for m in ("audio", "video", "text")}
        self.join = nn.Sequential(
            nn.Linear(sum(self.widths.values()), n_bottleneck), nn.LayerNorm(n_bottleneck)
        )

    def _build_audio(self):
        s, c = self.shapes, self.config
        if s.use_encodec:
            self.encoders["audio"] = AudioEncoder(
                s.n_rows, s.codebook_size, c.embedding_dim, c.audio_dim
            )
            self.decoders["audio"] = AudioDecoder(
                c.bottleneck_dim, s.n_rows, s.frames_per_tr, s.codebook_size, c.decoder_dim
            )
        else:
            self.encoders["audio"] = MelEncoder(s.n_rows, c.audio_dim)
            self.decoders["audio"] = MelDecoder(
                c.bottleneck_dim, s.n_rows, s.frames_per_tr, c.decoder_dim
            )

    def encode(self, film: dict[str, torch.Tensor]) -> torch.Tensor:
        """A film's TRs to bottlenecks (n_trs, bottleneck_dim).

        ``film``: modality → (n_trs, …). Modalities that are not there count as zeros.
        """
        n_trs, parts = len(film["audio"]), []
        for modality, width in self.widths.items():
            if modality in self.encoders and modality in film:
                parts.append(self.encoders[modality](film[modality]))
            else:
                parts.append(self.join[0].weight.new_zeros(n_trs, width))
        return self.join(torch.cat(parts, dim=-1))  # (n_trs, 1536) → (n_trs, 2048)

    def decode_audio(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """Features of sound, as the audio path has them: int32 codes, or mel in dB."""
        features = self.decoders["audio"](bottleneck)
        return features.to(torch.int32) if self.shapes.use_encodec else features


def save_autoencoder(autoencoder: Autoencoder, folder: Path, **more) -> None:
    """Write ``model.safetensors`` and ``config.json`` (shapes, sizes and ``more``)."""
    save_file(autoencoder.state_dict(), folder / "model.safetensors")
    content = {"shapes": autoencoder.shapes.to_dict(), "model": autoencoder.config.model_dump()}
    save_json(content | more, folder / "config.json")


def load_autoencoder(folder: Path) -> Autoencoder:
    """Read what ``save_autoencoder`` wrote."""
    content = load_json(folder / "config.json")
    shapes = Shapes(**content["shapes"])
    autoencoder = Autoencoder(shapes, ModelConfig.model_validate(content["model"]))
    autoencoder.load_state_dict(load_file(folder / "model.safetensors"))
    return autoencoder.eval()
