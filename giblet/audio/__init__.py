"""A film's sound as features per TR, and back. ``AudioProcessor`` is the way in."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
