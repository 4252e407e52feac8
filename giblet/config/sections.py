"""The sections of the config: each setting with its default and its limits."""

from types import NoneType
from typing import Annotated, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
)

from giblet.config.precision import Bfloat16

LARGEST = 2**32 - 1  # number that a setting may be, and NumPy's largest seed


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_none(cls, value, info: ValidationInfo):
        """Snakemake passes ``null`` of ``--config`` on as text."""
        is_null = isinstance(value, str) and value in ("null", "Null", "NULL", "~")
        optional = NoneType in get_args(cls.model_fields[str(info.field_name)].annotation)
        return None if is_null and optional else value

    @field_validator("*")
    @classmethod
    def _no_absurd_number(cls, value):
        if isinstance(value, int | float) and abs(value) > LARGEST:
            raise ValueError(f"must be {LARGEST:,} at most")
        return value


class MelConfig(Section):
    """Mel spectrograms."""

    n_mels: PositiveInt = Field(128, description="mel bands")
    n_fft: int = Field(1024, ge=64, description="samples of a window")
    hop_length: PositiveInt = Field(256, description="samples between two frames")
    n_iter: PositiveInt = Field(32, description="iterations of Griffin-Lim")


class VideoConfig(Section):
    """Video frames per TR."""

    n_frames: PositiveInt = Field(1, description="video frames per TR")
    height: int = Field(90, ge=16, description="pixels; they are halved four times")
    width: int = Field(160, ge=16, description="pixels")
    features: str = Field(
        "colours",
        min_length=1,
        description="what the linear baselines read: the colours of blocks, "
        '"motion_energy", or an image model (Hugging Face id or folder)',
    )
    motion_rate_hz: float = Field(
        15.0, ge=8, le=120, description="frames per s for motion energy, at least"
    )


class WordsConfig(Section):
    """Reading of the annotations. Times of TextGrids and subtitles are always in seconds."""

    text_columns: list[str] = Field(
        ["text"], min_length=1, description="of a table; joined with a space"
    )
    column_names: list[str] | None = Field(
        None, min_length=1, description="of a table without a row of names, as aligners write it"
    )
    onset_column: str | None = Field(None, description="where it is not onset or start")
    duration_column: str | None = Field(None, description="where it is not duration")
    end_column: str | None = Field(None, description="where it is not end or offset")
    unit_seconds: PositiveFloat = Field(
        1.0, description="unit of times in a table or JSON: 0.001 for ms, the TR for TRs"
    )
    first_unit: int | None = Field(
        None, description="for a table that numbers TRs, the last included: number of the first"
    )
    leave_out_untimed: bool = Field(
        False, description="rows of a table or JSON without time: no error"
    )
    leave_out_bad_rows: bool = Field(
        False, description="rows without time, or that end before they begin: no error"
    )
    sheet: str | None = Field(None, description="of a workbook with several")
    tier: str | None = Field(None, description="of a TextGrid with several")
    pauses: list[str] = Field(
        ["sp", "sil", "<eps>", "<p:>"], description="labels of rows that are pauses"
    )
    keep_marks: bool = Field(
        False, description="keep marks of sounds and speakers: [noise], (laughs), <unk>, JOHN:"
    )


class SplitConfig(Section):
    """Held-out seconds of the film, the same for every subject."""

    test: float = Field(0.2, gt=0, lt=1, description="share of the film, at its end")
    validation: float = Field(0.1, gt=0, lt=1, description="share before that, for early stopping")
    gap_seconds: float = Field(
        32.0, ge=0, description="left out between the parts; at least the HRF when there is BOLD"
    )
    test_runs: list[str] = Field(
        [],
        description="runs of the scan to test on, named as in bold.nc, instead of the share; with "
        "stimuli * stands for anything",
    )
    validation_runs: list[str] = Field(
        [], description="with test_runs; by default the last share of the other runs"
    )

    test_stimuli: list[str] = Field(
        [],
        description="names of stimuli to test on, * for anything, instead of runs, or of the share "
        "spread over the table",
    )
    validation_stimuli: list[str] = Field(
        [], description="with test_stimuli; by default the share, spread over the others"
    )
    pieces: Literal["auto", "whole", "cut"] = Field(
        "auto",
        description="of a film whose score is a table of pieces: whole ones in each part, or the "
        "shares of its seconds; auto: whole ones, of three or more",
    )
    test_pieces: list[str] = Field(
        [], description="names of pieces to test on, * for anything, instead of the last by share"
    )
    validation_pieces: list[str] = Field(
        [], description="with test_pieces; by default the last share of the others"
    )
    folds: int = Field(
        1,
        ge=1,
        le=100,
        description="of fold_scores and brain_quality: every second is held out in one of these; "
        "whole runs where there are as many, else blocks; whole stimuli, of which there must be as "
        "many; in fold_scores whole pieces. The parts above are then not used. 1: the parts above",
    )
    refit: Literal["network", "readout"] = Field(
        "network",
        description="in each fold of fold_scores: the network too, or readouts of the film's own "
        "features alone, since the network has seen most seconds",
    )

    @field_validator("validation_runs")
    @classmethod
    def _beside_test_runs(cls, runs: list[str], info) -> list[str]:
        tested = info.data.get("test_runs")
        if runs and (not tested or {*runs} & {*tested}):
            raise ValueError("goes with splits.test_runs, and no run may be in both")
        return runs

    @field_validator("test_stimuli")
    @classmethod
    def _instead_of_runs(cls, stimuli: list[str], info) -> list[str]:
        if stimuli and info.data.get("test_runs"):
            raise ValueError("goes without splits.test_runs: choose one")
        return stimuli

    @field_validator("test_pieces")
    @classmethod
    def _instead_of_seconds(cls, pieces: list[str], info) -> list[str]:
        if pieces and info.data.get("test_runs"):
            raise ValueError("goes without splits.test_runs: choose one")
        if pieces and info.data.get("pieces") == "cut":
            raise ValueError("goes without splits.pieces: cut")
        return pieces

    @field_validator("validation_stimuli", "validation_pieces")
    @classmethod
    def _beside_test(cls, names: list[str], info) -> list[str]:
        tested = info.field_name.replace("validation", "test")
        if names and not info.data.get(tested):
            raise ValueError(f"goes with splits.{tested}")
        return names


class ModelConfig(Section):
    """Architecture and sizes of the autoencoder; examples in config/model/."""

    layout: Literal["slots", "flat"] = Field(
        "slots", description="bottleneck laid out in time, or one vector (the original design)"
    )
    code_head: Literal["geometric", "classifier", "regression"] = Field(
        "geometric",
        description="codes by distance to codebook entries, by a score for each, or as indices",
    )
    hrf_placement: Literal["bottleneck", "inputs"] = Field(
        "bottleneck", description="the HRF is applied to the bottleneck, or to the inputs"
    )
    start_from: str = Field(
        "auto",
        description='audio encoder and decoder: folder of a model; "none"; "bundled"; "auto": '
        "bundled where they fit",
    )
    slot_frames: PositiveInt = Field(7, description="slots: frames of sound in one")
    slot_dim: PositiveInt = Field(128, description="slots: features of one")
    slot_video: PositiveInt = Field(8, description="slots: of these, features for video")
    slot_text: PositiveInt = Field(
        8, validate_default=True, description="slots: of these, features for text"
    )
    slot_width: PositiveInt = Field(384, description="slots: channels of their layers")
    frame_width: PositiveInt = Field(192, description="slots: channels of the layers of frames")
    audio_dim: PositiveInt = Field(256, description="flat: features of encoded audio")
    video_dim: PositiveInt = Field(1024, description="features of encoded video")
    text_dim: PositiveInt = Field(256, description="features of encoded text")
    bottleneck_dim: PositiveInt = Field(2048, description="flat: features of the shared code")
    embedding_dim: PositiveInt = Field(64, description="flat: per codebook")
    decoder_dim: PositiveInt = Field(128, description="flat: channels of a decoded frame")
    readout_rank: PositiveInt = Field(64, description="components shared by a subject's voxels")
    learn_hrf: bool = Field(
        False, description="learn the readout's HRF, initialised with hrf_model"
    )
    variational: bool = Field(False, description="a variance around the bottleneck, with a KL loss")

    @field_validator("slot_text")
    @classmethod
    def _leaves_room_for_sound(cls, slot_text: int, info) -> int:
        taken = info.data.get("slot_video", 0) + slot_text
        if taken >= info.data.get("slot_dim", taken + 1):
            raise ValueError(f"slot_video and slot_text take {taken}: slot_dim must be larger")
        return slot_text


class TrainingConfig(Section):
    """Training of the autoencoder."""

    max_epochs: PositiveInt = Field(20, description="passes over the training part, at most")
    audio_trs: PositiveInt = Field(12, description="TRs of a window whose codes a step scores")
    frames_per_step: PositiveInt = Field(112, description="code frames per TR that a step scores")
    bfloat16: Bfloat16 = Field(
        "auto", description="mixed precision while training; auto: where the processor has it"
    )
    weight_decay: float = Field(0.05, ge=0, description="of AdamW")
    patience: PositiveInt = Field(6, description="epochs without a better validation loss")
    min_steps: PositiveInt = Field(
        8, description="in an epoch, at least: a short film is seen several times"
    )
    window_trs: PositiveInt = Field(40, description="consecutive TRs of one step")
    learning_rate: float = Field(5e-4, gt=0, le=1, description="of AdamW")
    started_share: float = Field(
        0.1, ge=0, description="of the learning rate, for layers that start_from has trained"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="of the learning rate, over max_epochs"
    )
    gradient_clip: PositiveFloat = Field(1.0, description="largest norm of a gradient")
    strategy: Literal["auto", "ddp"] = Field(
        "auto", description="ddp: parallel processes, each with its own windows"
    )
    devices: PositiveInt = Field(1, description="GPUs, or processes without one; on each node")
    nodes: PositiveInt = Field(1, description="computers for ddp, allocated by Slurm")
    modality_dropout: float = Field(
        0.1, ge=0, lt=1, description="share of TRs in which a modality is hidden from the encoder"
    )
    balance: Literal["weights", "uncertainty"] = Field(
        "weights", description="of losses: the weights below, or learned uncertainties on top"
    )
    audio_weight: PositiveFloat = Field(1.0, description="of the audio loss")
    sound_weight: float = Field(
        1.0, ge=0, description="of the decoded sound's loss: only for geometric codes"
    )
    sound_trs: PositiveInt = Field(4, description="how many of audio_trs are also decoded to sound")
    video_weight: PositiveFloat = Field(0.2, description="of the video loss")
    text_weight: PositiveFloat = Field(0.2, description="of the text loss")
    bold_weight: PositiveFloat = Field(0.5, description="of the BOLD loss")
    kl_weight: float = Field(1e-3, ge=0, description="variational: of the KL, per feature")
    free_nats: float = Field(0.1, ge=0, description="variational: KL that costs nothing, a feature")
    kl_epochs: PositiveInt = Field(5, description="variational: until the KL has its whole weight")


class DecodingConfig(Section):
    """From BOLD to the bottleneck."""

    first_lag_seconds: float = Field(2.0, ge=0, description="first lag of BOLD behind the film")
    last_lag_seconds: float = Field(8.0, gt=0, description="last lag")
    voxel_share: float = Field(
        0.05, gt=0, le=1, description="share of voxels that are decoded from: those of highest ISC"
    )
    region: str | None = Field(
        None, description="decode from all voxels of this one of lesion.regions instead"
    )
    clip_seconds: PositiveFloat = Field(
        8.0, description="length of the clips of 10-way identification, up to whole TRs"
    )
    n_permutations: PositiveInt = Field(
        1000, description="orders of the clips, for p-values; shifts in searchlight"
    )


class CalibrationConfig(Section):
    """A new person's calibration curve, by the rule ``calibration``."""

    minutes: list[Annotated[float, Field(gt=0)]] = Field(
        [2, 5, 10, 20, 40],
        min_length=1,
        description="of a person's training data, as far as there are so many; and all of it",
    )


class ScanConfig(Section):
    """Cleaning of BOLD."""

    high_pass_hz: float | None = Field(0.01, gt=0, le=1, description="slower drifts are removed")
    parcellation: str | None = Field(
        None,
        description="parcels instead of voxels or vertices: a label image, an atlas of the surface "
        "(lh.x.annot, .dlabel.nii), or a name (schaefer_2018_400)",
    )
    confounds: list[str] | None = Field(
        None, description="columns to regress out; by default motion (BIDS), or all (table of runs)"
    )
    confound_strategy: list[
        Literal["motion", "wm_csf", "global_signal", "compcor", "ica_aroma", "high_pass", "scrub"]
    ] = Field([], description="instead, of nilearn's load_confounds (BIDS alone)")
    space: str | None = Field(
        None,
        min_length=1,
        description="of the BOLD in a BIDS folder, as fMRIPrep names it (MNI152NLin6Asym:res-2, "
        "fsaverage5, fsLR:den-91k); by default MNI152NLin2009cAsym",
    )
    mesh: str | None = Field(
        None,
        min_length=1,
        description="of fsLR: left .surf.gii, with the right one beside it; null: one on this "
        "computer, of TemplateFlow, neuromaps or nilearn; nothing is fetched",
    )
    raw: str | None = Field(
        None,
        min_length=1,
        description="raw BIDS data set with the events, where not found around the derivatives",
    )
    exclude_subjects: list[str] = Field(
        [], description="labels of subjects that are left out, with or without sub-"
    )
    lag_seconds: float = Field(
        0.0,
        description="s by which the scan is late (see brain_quality), subtracted from film_time",
    )
    null: bool = Field(
        False, description="a control: BOLD becomes noise of its spectrum; scores are then chance"
    )
    alignment: Literal["none", "procrustes", "srm", "ridge"] = Field(
        "none",
        description="of subjects, by training TRs, where they are decoded together or by others: "
        "voxels as they are; rotated; shared response model; ridge to the mean of the others",
    )
    alignment_features: PositiveInt = Field(50, description="of srm, at most")


class SimulationConfig(Section):
    """Simulated brains."""

    topography: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of a voxel's variance that is arranged in each subject's own way; 0: "
        "subjects respond alike",
    )


class QualityConfig(Section):
    """Quality of the scans."""

    n_permutations: PositiveInt = Field(200, description="phase-randomised nulls of the ISC")
    n_shifts: PositiveInt = Field(
        5000, description="nulls of ridge: circular shifts of BOLD within folds, with random signs"
    )
    n_iter: PositiveInt = Field(
        20, description="about how many mixtures of modalities banded ridge tries"
    )
    n_shift_maps: NonNegativeInt = Field(
        500,
        description="of the nulls of ridge, those used for p-values corrected over the brain; no "
        "more than n_shifts; 0: no such p-values. Each takes 4 bytes per voxel of a map of r",
    )


class CodecTrainingConfig(Section):
    """Your own codec, by the rule ``train_codec``."""

    sounds: str | None = Field(None, description="folder of audio files, one folder per kind")
    validation: str | None = Field(None, description="another folder, never trained on")
    recipe: str = Field(
        "config/codec/bundled.yaml", description="network, losses and schedule of the codec"
    )


class PretrainingConfig(Section):
    """Audio encoder and decoder trained on any audio, by the rule ``pretrain``."""

    sounds: str | None = Field(None, description="folder of audio files, in subfolders or not")
    validation: str | None = Field(None, description="another folder, never trained on")
