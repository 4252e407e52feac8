"""How much a decoder uses its latents: the nats that the right z saves it."""

from collections.abc import Callable, Mapping

import torch

Z = Mapping[str, torch.Tensor]  # level -> (batch, n_segments, width)


def nats_bought_by_latents(
    nll: Callable[[Z], torch.Tensor], own: Z, other: Z, prior: Z
) -> dict[str, dict[str, float]]:
    """Nats per token that z is worth: the loss with a wrong z less the loss with the right one.

    A decoder that ignores its latents (posterior collapse) has 0 everywhere; levels that it
    ignores have 0 in their place.

    Parameters
    ----------
    nll : z -> nats, of the same tokens each time; the mean is taken
    own : z of the tokens' own posteriors
    other : z of another piece's posteriors; it is repeated or cut to the segments of ``own``
    prior : z drawn from the priors

    Returns
    -------
    bought : "own" -> {"all": nats per token}; "other" and "prior" -> nats per token that own z
        saves, where "all" levels are replaced, and where one is, by its name

    >>> own, wrong = {"fine": torch.ones(1, 2, 1)}, {"fine": torch.zeros(1, 2, 1)}
    >>> nats_bought_by_latents(lambda z: 3 - z["fine"].mean(), own, wrong, wrong)["other"]
    {'all': 1.0, 'fine': 1.0}
    """
    with torch.no_grad():
        base = float(nll(own).mean())
        bought = {"own": {"all": base}}
        for kind, wrong in (("other", other), ("prior", prior)):
            wrong = {name: fit_segments(wrong[name], z.shape[1]) for name, z in own.items()}
            replaced = {"all": wrong} | {name: {**own, name: wrong[name]} for name in own}
            bought[kind] = {name: float(nll(z).mean()) - base for name, z in replaced.items()}
    return bought


def fit_segments(z: torch.Tensor, n: int) -> torch.Tensor:
    """``z`` (batch, n_segments, width) with ``n`` segments: repeated in a circle, or cut.

    >>> fit_segments(torch.tensor([[[1], [2]]]), 3).flatten().tolist()
    [1, 2, 1]
    """
    return z[:, torch.arange(n, device=z.device) % z.shape[1]]
