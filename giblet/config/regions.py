"""Sections of the config: what silences, or decodes from, parts of the brain."""

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from giblet.config.sections import Section


class LesionConfig(Section):
    """Virtual lesions, by the rule ``lesion``."""

    regions: str = Field(
        "auto",
        description="label image in the space of the scan (its names: a .tsv beside it, columns "
        'index and name); "parcels": each of the scan\'s own; "auto": those of simulated brains',
    )
    decoder: Literal["subjects", "group", "others"] = Field(
        "subjects",
        description="zero regions for each subject's own decoder, for that of all subjects "
        "together, or for that of the other subjects",
    )
    n_draws: PositiveInt = Field(3, description="random lesions of the same size, per region")
    sound: bool = Field(True, description="decode and score sounds, too, which takes longer")


class SearchlightConfig(Section):
    """Identification from every part of the brain, by the rule ``searchlight``."""

    radius_mm: PositiveFloat = Field(
        10.0, description="of the spheres around voxels; parcels are taken as they are"
    )
    fewest_voxels: int = Field(
        5, ge=1, description="a sphere or region of fewer voxels is left out; a parcel is not"
    )
    n_components: PositiveInt = Field(
        30, description="principal components of the bottleneck that are decoded"
    )
