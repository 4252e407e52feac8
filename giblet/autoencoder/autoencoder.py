"""The multimodal autoencoder: encoders, the shared bottleneck, decoders."""

from typing import Any

import torch
from torch import nn

from giblet.alignment.shapes import Shapes
from giblet.autoencoder.bottleneck import (
    FlatJoin,
    SlotDecoder,
    SlotEncoder,
    SlotJoin,
    Spread,
    count_slots,
)
from giblet.autoencoder.code_heads import (
    ClassifierHead,
    Codebooks,
    CodeHead,
    GeometricHead,
    RegressionHead,
)
from giblet.autoencoder.decoders import AudioDecoder, BoldDecoder, FrameDecoder, MelDecoder
from giblet.autoencoder.encoders import AudioEncoder, LatentEncoder, MelEncoder
from giblet.autoencoder.hub import SavedModel
from giblet.autoencoder.numpy_inputs import bottleneck_tensor, film_tensors, is_film
from giblet.config.sections import ModelConfig
from giblet.errors import GibletError
from giblet.film.modalities import MODALITIES, Modality, beside_sound
from giblet.film.networks import TextEncoder

_TRS_AT_ONCE = 32  # whose sound is decoded together, to save memory


class Autoencoder(SavedModel, nn.Module):
    """Film → bottleneck → film and BOLD.

    A modality that the film lacks contributes zeros. With ``hrf_placement: inputs`` the bottleneck
    is made of HRF-blurred regressors instead, and BOLD is read from it as it is.
    """

    def __init__(self, shapes: Shapes, config: ModelConfig):
        super().__init__()
        self.shapes, self.config, self.facts = shapes, config, {}
        self.codebooks = None
        if shapes.use_encodec:
            self.codebooks = Codebooks(shapes.n_rows, shapes.codebook_size, shapes.codebook_dim)
        self.encoders, self.decoders = nn.ModuleDict(), nn.ModuleDict()
        widths = self._widths()
        self._build_encoders(widths)
        slots = config.layout == "slots"
        if slots:
            n_slots = count_slots(shapes.frames_per_tr, config.slot_frames)
            known = {name: widths[name] for name in self.encoders}
            self.join = SlotJoin(known, n_slots, self._bands())
        else:
            self.join = FlatJoin(widths, config.bottleneck_dim)
        if config.variational:
            self.spread = Spread(self.join.slot_dim if slots else config.bottleneck_dim)
        self._build_decoders(self.bottleneck_dim)

    @property
    def bottleneck_dim(self) -> int:
        """Features of the bottleneck of one TR."""
        return self.join.out_dim

    def _widths(self) -> dict[str, int]:
        """Features that each modality brings to the join."""
        shapes, config = self.shapes, self.config
        if config.hrf_placement == "inputs":
            if not shapes.n_blurred:
                raise GibletError("hrf_placement: inputs needs a scan, whose HRF blurs the film")
            return {"blurred": config.video_dim}
        widths = {
            name: modality.setting(config, "*_dim", modality.width)
            for name, modality in self._modalities().items()
        }
        if config.layout == "slots":
            n_slots = count_slots(shapes.frames_per_tr, config.slot_frames)
            widths["audio"] = n_slots * self._bands()["audio"]
        return widths

    def _bands(self) -> dict[str, int]:
        """Features of a slot that each modality has; blurred regressors have it whole."""
        if self.config.hrf_placement == "inputs":
            return {"blurred": self.config.slot_dim}
        return self._film_bands()

    def _film_bands(self) -> dict[str, int]:
        """Of modalities alone; optional ones come on top of ``slot_dim``."""
        config, modalities = self.config, self._modalities()
        widths = {
            name: modality.setting(config, "slot_*", modality.slot_width)
            for name, modality in modalities.items()
            if name != "audio"
        }
        within = [width for name, width in widths.items() if not modalities[name].optional]
        return {"audio": config.slot_dim - sum(within)} | widths

    def _modalities(self) -> dict[str, Modality]:
        """Those that the bottleneck has room for; optional ones where the film has them."""
        shapes = self.shapes
        return {n: m for n, m in MODALITIES.items() if not m.optional or shapes.of(n)}

    def _shown(self) -> dict[str, tuple[Modality, tuple[int, ...]]]:
        """Modalities of the film beside its sound, with their shapes in one TR."""
        shapes = {name: self.shapes.of(name) for name in beside_sound()}
        return {name: (MODALITIES[name], shape) for name, shape in shapes.items() if shape}

    def _build_encoders(self, widths: dict[str, int]) -> None:
        if "blurred" in widths:
            self.encoders["blurred"] = TextEncoder(self.shapes.n_blurred, widths["blurred"])
            return
        self.encoders["audio"] = self._audio_encoder(widths["audio"])
        for name, (modality, shape) in self._shown().items():
            self.encoders[name] = modality.encoder(shape, widths[name])

    def _audio_encoder(self, width: int) -> nn.Module:
        s, c = self.shapes, self.config
        if c.layout == "flat" and self.codebooks is not None:
            return AudioEncoder(s.n_rows, s.codebook_size, c.embedding_dim, width)
        if c.layout == "flat":
            return MelEncoder(s.n_rows, width)
        n_features = s.n_rows if self.codebooks is None else s.codebook_dim
        dim = self._bands()["audio"]
        pool = SlotEncoder(n_features, c.slot_frames, dim, c.frame_width, c.slot_width)
        if self.codebooks is not None:
            return LatentEncoder(self.codebooks, pool)
        return MelEncoder(s.n_rows, width, pool)

    def _build_decoders(self, n_bottleneck: int) -> None:
        shapes, config = self.shapes, self.config
        self.decoders["audio"] = self._audio_decoder(n_bottleneck)
        for name, (modality, shape) in self._shown().items():
            self.decoders[name] = modality.decoder(n_bottleneck, shape)
        if shapes.subjects:
            kernel = (1.0,) if config.hrf_placement == "inputs" else shapes.hrf_kernel
            self.decoders["bold"] = BoldDecoder(
                sum(self.join.slow_widths.values()),
                shapes.n_voxels,
                list(shapes.subjects),
                kernel,
                config.readout_rank,
                config.learn_hrf,
                sum(self._decoded_widths().values()),
            )

    def _audio_decoder(self, n_bottleneck: int) -> nn.Module:
        s, c = self.shapes, self.config
        if c.layout == "slots":
            dim = c.frame_width
            slot_dim = sum(self._bands().values())
            frames = SlotDecoder(s.frames_per_tr, c.slot_frames, slot_dim, dim, c.slot_width)
            frames.start_with_first(self._film_bands()["audio"])
        else:
            dim = c.decoder_dim
            frames = FrameDecoder(n_bottleneck, s.frames_per_tr, dim)
        if self.codebooks is None:
            return MelDecoder(dim, s.n_rows, frames)
        return AudioDecoder(frames=frames, head=self._head(dim))

    def _head(self, dim: int) -> CodeHead:
        s = self.shapes
        if self.config.code_head == "geometric" and self.codebooks is not None:
            return GeometricHead(dim, self.codebooks)
        kinds = {"classifier": ClassifierHead, "regression": RegressionHead}
        return kinds[self.config.code_head](dim, s.n_rows, s.codebook_size)

    def __repr__(self) -> str:
        """One line; ``print(model.encoders)`` shows the layers."""
        shapes, parts = self.shapes, " + ".join(self.encoders)
        size = "×".join(map(str, shapes.of("audio") or ()))
        brains = f", {len(shapes.subjects)} subjects × {shapes.n_voxels} voxels"
        n_weights = sum(weights.numel() for weights in self.parameters()) / 1e6
        return (
            f"Autoencoder({shapes.feature_type} {size} a TR; {parts} → {self.bottleneck_dim}"
            f"{brains * bool(shapes.subjects)}; {n_weights:.1f} M weights)"
        )

    def encode(self, film: Any, present: dict[str, torch.Tensor] | None = None) -> Any:
        """A film's TRs to bottlenecks (n_trs, bottleneck_dim) float32.

        ``film``: modality → (n_trs, …), or features of sound alone; what is not there counts as
        zeros. Of tensors the bottlenecks are a tensor, of arrays an array. ``present``: modality →
        (n_trs,) bool, TRs in which it is to be heard, seen or read; without it in all.

        Raises TypeError or ValueError where arrays are not what the model was trained on.
        """
        if not is_film(film):
            tensors = film_tensors(film, self.shapes, list(self.encoders))
            if isinstance(film, torch.Tensor):
                return self.encode(tensors, present)
            with torch.inference_mode():
                return self.encode(tensors, present).numpy()
        parts = {}
        for modality, encoder in self.encoders.items():
            if modality in film:
                parts[modality] = encoder(film[modality])
                if present and modality in present:
                    parts[modality] = parts[modality] * present[modality][:, None]
        if not parts:
            film_tensors(film, self.shapes, list(self.encoders))  # raises: nothing in it is known
        return self.join(parts)

    def predict_bold(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """Bottlenecks of TRs in a row (windows, n_trs, bottleneck_dim) to BOLD (windows,
        n_subjects, n_trs, n_voxels)."""
        return self.decoders["bold"](self.slow(bottleneck))

    def slow(self, bottleneck: torch.Tensor) -> torch.Tensor:
        """What BOLD is read from, of bottlenecks (..., bottleneck_dim): (..., n_slow), the sum of
        `slow_widths`.

        The join's slow part. Then, where sound is decoded to latents of a codec, the means over a
        TR of the magnitudes of these latents, and of the latents. A slot holds levels only
        implicitly: few TRs are not enough to read them linearly.
        """
        parts = [self.join.slow(bottleneck)]
        if self._decoded_widths():
            decoder, flat = self.decoders["audio"], bottleneck.flatten(0, -2)
            means = []
            for some in flat.split(_TRS_AT_ONCE):
                latents = decoder.head.latents(decoder.features(some))
                means.append(torch.cat([latents.abs().mean(1), latents.mean(1)], dim=-1))
            parts.append(torch.cat(means).unflatten(0, bottleneck.shape[:-1]))
        return torch.cat(parts, dim=-1)

    @property
    def slow_widths(self) -> dict[str, int]:
        """Band → its features in `slow`, in their order."""
        return self.join.slow_widths | self._decoded_widths()

    def _decoded_widths(self) -> dict[str, int]:
        if not isinstance(getattr(self.decoders["audio"], "head", None), GeometricHead):
            return {}
        return dict.fromkeys(("decoded_levels", "decoded_latents"), self.shapes.codebook_dim)

    def decode_audio(self, bottleneck: Any) -> Any:
        """Features of sound, as the audio path has them: int32 codes, or mel in dB.

        ``bottleneck`` (n_trs, bottleneck_dim): of a tensor the features are a tensor, of an array
        an array. Raises TypeError or ValueError for other arrays.
        """
        if not isinstance(bottleneck, torch.Tensor):
            with torch.inference_mode():
                tensor = bottleneck_tensor(bottleneck, self.bottleneck_dim)
                return self.decode_audio(tensor).numpy()
        features = self.decoders["audio"](bottleneck)
        return features if self.codebooks is None else features.to(torch.int32)
