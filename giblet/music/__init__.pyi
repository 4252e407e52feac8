"""What `giblet.music` offers; each is imported from its module when it is first used."""

from .adversarial import (
    AdversarialSettings as AdversarialSettings,
    MusicAdversary as MusicAdversary,
)
from .attention import Attention as Attention, AttentionSettings as AttentionSettings
from .attributes import ATTRIBUTES as ATTRIBUTES, attributes_of as attributes_of
from .count_models import TokenCounts as TokenCounts
from .disentanglement import (
    Dci as Dci,
    dci as dci,
    dci_above_chance as dci_above_chance,
    mutual_information_gap as mutual_information_gap,
    separated_attribute_predictability as separated_attribute_predictability,
)
from .kl_schedules import (
    KlSchedule as KlSchedule,
    KlScheduleSettings as KlScheduleSettings,
    build_schedule as build_schedule,
    free_bits as free_bits,
)
from .latent_tools import (
    attribute_vector as attribute_vector,
    attributes_along as attributes_along,
    interpolate as interpolate,
    interpolate_levels as interpolate_levels,
    midpoint_nats as midpoint_nats,
    mix_tokens as mix_tokens,
    monotonicity as monotonicity,
    traverse as traverse,
)
from .latents import (
    GlobalSettings as GlobalSettings,
    HierarchicalLatents as HierarchicalLatents,
    LatentSettings as LatentSettings,
    LevelSettings as LevelSettings,
    word_dropout as word_dropout,
)
from .losses import (
    COMPONENTS as COMPONENTS,
    ConstraintWeights as ConstraintWeights,
    TokenWeights as TokenWeights,
)
from .memorisation import TrainingIntervals as TrainingIntervals
from .metrics import piece_scores as piece_scores
from .midi import read_midi as read_midi, write_midi as write_midi
from .model import (
    ModelSettings as ModelSettings,
    MusicTransformerVAEGAN as MusicTransformerVAEGAN,
    load as load,
)
from .monitoring import Monitor as Monitor, MonitorSettings as MonitorSettings
from .musicxml import read_musicxml as read_musicxml
from .nats_bought import (
    fit_segments as fit_segments,
    nats_bought_by_latents as nats_bought_by_latents,
)
from .ngrams import NgramModel as NgramModel, NoteSurprisal as NoteSurprisal
from .notes import Beats as Beats, Notes as Notes
from .positions import BeatEncoding as BeatEncoding, token_phases as token_phases
from .posteriors import (
    Posterior as Posterior,
    active_units as active_units,
    iw_elbo as iw_elbo,
    kl_divergence as kl_divergence,
)
from .priors import Prior as Prior, PriorSettings as PriorSettings, build_prior as build_prior
from .score_features import (
    FEATURES as FEATURES,
    Listening as Listening,
    note_features as note_features,
    tr_features as tr_features,
)
from .score_files import find_score as find_score, read_score as read_score
from .score_sync import (
    ScoreLag as ScoreLag,
    onset_density as onset_density,
    onset_envelope as onset_envelope,
    score_lag as score_lag,
)
from .score_trs import piano_roll as piano_roll, score_on_trs as score_on_trs
from .surprisal import (
    context_surprisal as context_surprisal,
    note_surprisal as note_surprisal,
)
from .synthetic_scores import (
    disentanglement_of as disentanglement_of,
    factor_grid as factor_grid,
    simulated_score as simulated_score,
)
from .tokens import (
    VOCABULARY as VOCABULARY,
    Vocabulary as Vocabulary,
    detokenize as detokenize,
    token_seconds as token_seconds,
    tokenize as tokenize,
)
from .transformer import Transformer as Transformer, TransformerSettings as TransformerSettings
from .windows import (
    scoring_windows as scoring_windows,
    stream_nats as stream_nats,
    training_windows as training_windows,
)
