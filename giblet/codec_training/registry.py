"""The codec architectures by name: settings to network, and a saved network back."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from giblet.codec_training.dac import SnakeNetwork, SnakeSettings
from giblet.codec_training.encodec import EncodecNetwork, EncodecSettings
from giblet.codec_training.hierarchical import HierarchicalNetwork, HierarchicalSettings
from giblet.codec_training.mdct import MdctNetwork, MdctSettings
from giblet.codec_training.network import SETTINGS, CodecNetwork
from giblet.errors import GibletError, nearest_name
from giblet.io.checksums import check_sums
from giblet.io.tables import load_json

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


def build_part(
    kind: str, name: str, classes: Mapping[str, type], parameters: Mapping[str, Any], **given
) -> Any:
    """``classes[name](**given, **parameters)``, where ``parameters`` come from a config.

    ``kind`` names the table in errors. Raises GibletError for a name or a parameter that is not
    there; ``given`` are not the config's to set.
    """
    if name not in classes:
        raise GibletError(
            f"{kind}: there is no {name!r}{nearest_name(name, list(classes))} "
            f"(of: {', '.join(classes)})"
        )
    allowed = [key for key in inspect.signature(classes[name]).parameters if key not in given]
    for key in parameters:
        if key not in allowed:
            raise GibletError(
                f"{kind}.{name}: there is no parameter {key!r}{nearest_name(key, allowed)} "
                f"(of: {', '.join(allowed)})"
            )
    return classes[name](**given, **parameters)
