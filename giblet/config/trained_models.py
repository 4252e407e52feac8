"""Sections of the config: trained models of sound, words and scores, whose values are features."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from giblet.config.sections import Section


class MusicConfig(Section):
    """Features of the score."""

    model: str = Field(
        "bundled",
        min_length=1,
        description='whose surprisal is a feature: "bundled", a folder, or a Hugging Face id with '
        'its commit; "none": n-grams alone',
    )
    latent_model: str = Field(
        "none",
        min_length=1,
        description="whose latents are features, which know the future, and are what "
        "reconstruct_score decodes from BOLD: likewise, of mode vae",
    )
    known_pieces: str = Field(
        "none",
        min_length=1,
        description="folder of MIDI files, none of the film's own music: what n-grams have learned "
        'before (long-term memory); "none": the piece itself alone (short-term)',
    )
    ngram_memory: Literal["auto", "short", "long", "both"] = Field(
        "auto", description="of n-grams; auto: both with known_pieces, else short"
    )
    contexts: list[PositiveInt] = Field(
        [], description="surprisal with the last so many notes alone, too (about 2 s each a minute)"
    )

    @field_validator("ngram_memory")
    @classmethod
    def _has_learned(cls, memory: str, info: ValidationInfo) -> str:
        if memory in ("long", "both") and info.data.get("known_pieces", "none") == "none":
            raise ValueError("goes with music.known_pieces")
        return memory


class SpeechModelsConfig(Section):
    """Models that score decoded speech; without them these scores are left out."""

    dnsmos: str | None = Field(
        None, min_length=1, description="Microsoft's sig_bak_ovr.onnx, which needs onnxruntime"
    )
    speaker_model: str | None = Field(
        None,
        min_length=1,
        description="folder of an x-vector model of transformers (WavLM-SV) with its extractor",
    )
    recogniser: str | None = Field(
        None,
        min_length=1,
        description="folder of a speech recogniser of transformers (Whisper, CTC), for word errors",
    )


SOUND_STEP, SOUND_CONTEXT = 10.0, 5.0  # s, by default
_LAYERS = 'numbers from 0 on, shares of the depth (0.5), or "all"'


class SoundModelConfig(Section):
    """Layers of an audio model as feature spaces of the linear models."""

    name: str = Field(
        "none",
        min_length=1,
        description='Hugging Face id with its commit, or folder, of an audio model; "none"',
    )
    layers: Literal["all"] | list[int | float] = Field(
        [0.25, 0.5, 0.75], min_length=1, description=_LAYERS
    )
    step_seconds: PositiveFloat | None = Field(
        None, description="kept of each window; null: 10, of AST and CLAP 1"
    )
    context_seconds: float | None = Field(
        None, ge=0, description="read before and after it; null: 5, of AST and CLAP all they take"
    )

    @property
    def reach_seconds(self) -> float:
        """Seconds from a feature to the farthest sound in its window, at most; AST and CLAP have
        less, see `giblet.audio.model_features.known_reach_seconds`."""
        step = SOUND_STEP if self.step_seconds is None else self.step_seconds
        return step + (SOUND_CONTEXT if self.context_seconds is None else self.context_seconds)


class PictureModelConfig(Section):
    """Layers of an image or video model as feature spaces of the linear models."""

    name: str = Field(
        "none",
        min_length=1,
        description="Hugging Face id with its commit, or folder, of an image or video model; "
        '"none"',
    )
    layers: Literal["all"] | list[int | float] = Field(
        [0.25, 0.5, 0.75], min_length=1, description=_LAYERS
    )
    n_moments: PositiveInt = Field(4, description="evenly spaced in each TR")
    clip_seconds: PositiveFloat = Field(
        2.0, description="that a video model sees around each moment"
    )


class WordModelConfig(Section):
    """Words in context, and static vectors, as feature spaces of the linear models."""

    name: str = Field(
        "none",
        min_length=1,
        description='Hugging Face id with its commit, or folder, of a language model; "none"',
    )
    layers: Literal["all"] | list[int | float] = Field([0.5], min_length=1, description=_LAYERS)
    n_before: int = Field(64, ge=0, description="words before each, which the model reads")
    vectors: str | None = Field(
        None, min_length=1, description="word2vec, GloVe or .vec file, or model2vec folder"
    )
    form: bool = Field(False, description="letters and frequency (by wordfreq) of words")
    language: str = Field("en", min_length=2, description="of the words, for their frequency")
