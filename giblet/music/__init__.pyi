"""What `giblet.music` offers; each is imported from its module when it is first used."""

from .midi import read_midi as read_midi, write_midi as write_midi
from .notes import Beats as Beats, Notes as Notes
from .tokens import (
    VOCABULARY as VOCABULARY,
    Vocabulary as Vocabulary,
    detokenize as detokenize,
    token_seconds as token_seconds,
    tokenize as tokenize,
)
