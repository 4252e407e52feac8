"""The material of a page: everything that its sections are made from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from giblet.report.extras import Extras
from giblet.report.pictures import Picture
from giblet.report.projected_maps import projected_figures
from giblet.report.scan_quality import BrainResults, BrainSection, brain_section


@dataclass(frozen=True)
class Material:
    """Arguments of `giblet.report.page.render_page`, for the functions of sections."""

    scores: pd.DataFrame
    sounds: Mapping[str, Mapping[str, np.ndarray]]
    sample_rate: float
    history: Mapping[str, pd.DataFrame]
    facts: dict
    brain: BrainResults | None = None
    extras: Extras = field(default_factory=Extras)

    @cached_property
    def brain_section(self) -> BrainSection | None:
        settings = self.facts.get("settings")
        n_shifts = None if settings is None else settings.quality.n_shifts
        return None if self.brain is None else brain_section(self.brain, n_shifts)

    @cached_property
    def surface_views(self) -> list[Picture]:
        """Projected once, for the page and the folder of figures."""
        return [] if self.brain is None else projected_figures(self.brain, self.simulated)

    @property
    def simulated(self) -> bool:
        return self.facts["simulated"]

    @property
    def scored(self) -> set[str]:
        """Names of the metrics that have a value."""
        scores = self.scores
        return set(scores.loc[scores["value"].notna(), "metric"]) if "metric" in scores else set()

    @property
    def has_film(self) -> bool:
        return self.facts["film"] is not None

    @property
    def n_samples(self) -> int:
        """The length of the sounds; 0 where there are none."""
        waves = (wave for columns in self.sounds.values() for wave in columns.values())
        return max(map(len, waves), default=0)
