"""The codec architectures by name: settings to network, and a saved network back."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from giblet.checks import GibletError
from giblet.codec.hierarchical import HierarchicalNetwork
from giblet.codec.interface import SETTINGS, CodecNetwork
from giblet.codec.levels import HierarchicalSettings
from giblet.codec.mdct import MdctNetwork, MdctSettings
from giblet.codec.networks import EncodecNetwork, EncodecSettings
from giblet.codec.snake import SnakeNetwork, SnakeSettings
from giblet.sealing import check_sums
from giblet.store import load_json

ArchitectureSettings = Annotated[
    EncodecSettings | SnakeSettings | HierarchicalSettings | MdctSettings,
    Field(discriminator="architecture"),
]
NETWORKS: dict[str, type[CodecNetwork]] = {
    "encodec": EncodecNetwork,
    "snake": SnakeNetwork,
    "hierarchical": HierarchicalNetwork,
    "mdct": MdctNetwork,
}


def parse_architecture(settings: dict, source: str) -> ArchitectureSettings:
    """Settings as read from ``source``, checked; GibletError names the first wrong key.

    >>> parse_architecture({"architecture": "snake", "n_codebooks": 4}, "recipe.yaml").n_codebooks
    4
    """
    try:
        return TypeAdapter(ArchitectureSettings).validate_python(settings)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "architecture"
        raise GibletError(f"{source}: {key}: {first['msg'].lower()}") from None


def build_network(settings: ArchitectureSettings) -> CodecNetwork:
    """The untrained network that ``settings`` describe."""
    return NETWORKS[settings.architecture](settings)


def load_network(folder: str | Path, otherwise: ArchitectureSettings | None = None) -> CodecNetwork:
    """A network from a folder that its ``save`` wrote, in evaluation mode.

    ``otherwise`` are the settings of a codec that was not trained here (EnCodec's, DAC's own
    folders have none of ours). Raises GibletError if the folder holds no network.
    """
    file = Path(folder) / SETTINGS
    if file.is_file():
        check_sums(folder, [SETTINGS, *(f.name for f in Path(folder).glob("*.safetensors"))])
        settings = parse_architecture(load_json(file), str(file))
    elif otherwise is not None:
        settings = otherwise
    else:
        raise GibletError(f"{folder}: no {SETTINGS} in it: a folder that a network was saved to")
    return NETWORKS[settings.architecture].load(folder, settings).eval()
