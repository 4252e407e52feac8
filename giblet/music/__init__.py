"""Symbolic music: scores as notes and tokens, models that learn them, and their latents."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
