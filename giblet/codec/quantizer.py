"""Residual vector quantization while training, and its hand-over to EnCodec's own quantizer."""

import torch
from transformers import EncodecModel
from vector_quantize_pytorch import ResidualVQ


def build_quantizer(model: EncodecModel, decay: float = 0.99, dropout: bool = True) -> ResidualVQ:
    """A trainable residual VQ with the geometry of ``model``.

    Codebooks follow the data by exponential moving average, start from k-means on the first
    batch they see, and replace codewords that die. With ``dropout`` a random number of
    codebooks is used in each step, so that every bandwidth prefix decodes.
    """
    config = model.config
    return ResidualVQ(
        dim=config.codebook_dim,
        num_quantizers=config.num_quantizers,
        codebook_size=config.codebook_size,
        decay=decay,
        kmeans_init=True,
        kmeans_iters=20,
        threshold_ema_dead_code=1,
        quantize_dropout=dropout,
        quantize_dropout_cutoff_index=1,
        quantize_dropout_multiple_of=2,
    )


@torch.no_grad()
def copy_codebooks(quantizer: ResidualVQ, model: EncodecModel) -> None:
    """Write the trained codebooks into ``model``, which then encodes and decodes alone."""
    for source, target in zip(quantizer.layers, model.quantizer.layers, strict=True):
        codebook = source.codebook.float()  # (codebook_size, codebook_dim)
        target.codebook.embed.copy_(codebook)
        target.codebook.embed_avg.copy_(codebook)
        target.codebook.cluster_size.fill_(1.0)
