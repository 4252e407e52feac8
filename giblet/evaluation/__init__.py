"""Every score beside its nulls and ceilings: of sound, of the brain, of what a lesion costs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
