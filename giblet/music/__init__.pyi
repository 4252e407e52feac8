"""What `giblet.music` offers; each is imported from its module when it is first used."""

from .attention import Attention as Attention, AttentionSettings as AttentionSettings
from .count_models import TokenCounts as TokenCounts
from .memorisation import TrainingIntervals as TrainingIntervals
from .metrics import piece_scores as piece_scores
from .midi import read_midi as read_midi, write_midi as write_midi
from .model import (
    ModelSettings as ModelSettings,
    MusicTransformerVAEGAN as MusicTransformerVAEGAN,
    load as load,
)
from .notes import Beats as Beats, Notes as Notes
from .positions import BeatEncoding as BeatEncoding, token_phases as token_phases
from .tokens import (
    VOCABULARY as VOCABULARY,
    Vocabulary as Vocabulary,
    detokenize as detokenize,
    token_seconds as token_seconds,
    tokenize as tokenize,
)
from .transformer import (
    Transformer as Transformer,
    TransformerSettings as TransformerSettings,
)
from .windows import (
    scoring_windows as scoring_windows,
    stream_nats as stream_nats,
    training_windows as training_windows,
)
