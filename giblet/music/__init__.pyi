"""What `giblet.music` offers; each is imported from its module when it is first used."""

from .adversarial import (
    AdversarialSettings as AdversarialSettings,
    MusicAdversary as MusicAdversary,
)
from .losses import (
    COMPONENTS as COMPONENTS,
    ConstraintWeights as ConstraintWeights,
    TokenWeights as TokenWeights,
)
from .midi import read_midi as read_midi, write_midi as write_midi
from .monitoring import Monitor as Monitor, MonitorSettings as MonitorSettings
from .notes import Beats as Beats, Notes as Notes
from .tokens import (
    VOCABULARY as VOCABULARY,
    Vocabulary as Vocabulary,
    detokenize as detokenize,
    token_seconds as token_seconds,
    tokenize as tokenize,
)
