"""The judge of a codec in training: a discriminator, and what is asked of it and of the codec."""

import torch

from giblet.codec.discriminators import ADVERSARIAL, DISCRIMINATORS, feature_matching
from giblet.codec.parts import build_part
from giblet.codec.settings import DiscriminatorSettings


class Judge(torch.nn.Module):
    """A discriminator and what is asked of it and of the codec that it judges."""

    def __init__(self, settings: DiscriminatorSettings):
        super().__init__()
        self.settings, self.loss = settings, ADVERSARIAL[settings.loss]()
        self.discriminator = build_part(
            "discriminators", settings.kind, DISCRIMINATORS, settings.parameters
        )

    def of_codec(self, estimate: torch.Tensor, target: torch.Tensor) -> dict[str, torch.Tensor]:
        """The codec's losses; the judge itself gets no gradient from them."""
        with torch.no_grad():
            _, real = self.discriminator(target)
        self.discriminator.requires_grad_(False)
        scores, fake = self.discriminator(estimate)
        self.discriminator.requires_grad_(True)
        return {
            "adversarial": self.loss.generator(scores),
            "features": feature_matching(real, fake),
        }

    def of_judge(self, estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The judge's own loss."""
        real, fake = self.discriminator(target)[0], self.discriminator(estimate.detach())[0]
        return self.loss.discriminator(real, fake)
