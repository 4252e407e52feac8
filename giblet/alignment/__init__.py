"""Film, words and scans on one clock: the HRF, alignment, lags, held-out parts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
