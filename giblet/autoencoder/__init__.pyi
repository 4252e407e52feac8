"""What `giblet.autoencoder` offers; each is imported from its module when it is first used."""

from .autoencoder import (
    Autoencoder as Autoencoder,
)
from .inference import (
    blurred_bottlenecks as blurred_bottlenecks,
    bottlenecks as bottlenecks,
    predict_bold as predict_bold,
)
from .training import (
    Trained as Trained,
    begin as begin,
    fit as fit,
    is_first_process as is_first_process,
    summary as summary,
)
