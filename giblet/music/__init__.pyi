"""What `giblet.music` offers; each is imported from its module when it is first used."""

from .attention import Attention as Attention, AttentionSettings as AttentionSettings
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
