"""A film's sound as features per TR, and back. ``AudioProcessor`` is the way in."""

from giblet.audio.processor import AudioProcessor

__all__ = ["AudioProcessor"]
