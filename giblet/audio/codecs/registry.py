"""The kinds of codec that can be loaded: by ``model_type`` in the ``config.json`` of a folder.

Importing it imports transformers.
"""

from dataclasses import dataclass

import transformers
from transformers import DacModel, EncodecModel, MimiModel, PreTrainedModel, XcodecModel

from giblet.audio.codecs.dac import Dac
from giblet.audio.codecs.encodec import Encodec
from giblet.audio.codecs.finite_scalar import FiniteScalarCodec, NeuCodec
from giblet.audio.codecs.hierarchical import Hierarchical, HierarchicalConfig, HierarchicalModel
from giblet.audio.codecs.mdct import Mdct, MdctConfig, MdctModel
from giblet.audio.codecs.mimi import Mimi
from giblet.audio.codecs.pretrained import PretrainedCodec
from giblet.audio.codecs.xcodec import Xcodec
from giblet.errors import GibletError, nearest_name


@dataclass(frozen=True)
class CodecType:
    """One kind of codec.

    model
        The class whose ``from_pretrained`` reads a folder of it.
    codec
        The class that runs the model on sound of any length.
    label
        For people.
    architecture
        In recipes of ``giblet codec train``: the network that is saved as this kind, if one is.
    """

    model: type[PreTrainedModel]
    codec: type[PretrainedCodec]
    label: str
    architecture: str | None


CODEC_TYPES = {
    "encodec": CodecType(EncodecModel, Encodec, "EnCodec 24, 32 and 48 kHz", "encodec"),
    "dac": CodecType(DacModel, Dac, "DAC 16, 24 and 44.1 kHz", "snake"),
    "mimi": CodecType(MimiModel, Mimi, "Mimi 24 kHz", None),
    "xcodec": CodecType(XcodecModel, Xcodec, "X-Codec 16 kHz (in windows)", None),
    MdctConfig.model_type: CodecType(MdctModel, Mdct, "giblet's own", "mdct"),
    HierarchicalConfig.model_type: CodecType(
        HierarchicalModel, Hierarchical, "giblet's own, three levels", "hierarchical"
    ),
}
_NEWER: dict[str, tuple[str, type[PretrainedCodec], str]] = {  # not in the oldest transformers
    "xcodec2": ("Xcodec2Model", FiniteScalarCodec, "X-Codec 2 16 kHz (in windows)"),
    "neucodec": ("NeuCodecModel", NeuCodec, "NeuCodec 24 kHz (in windows)"),
}
CODEC_TYPES |= {
    model_type: CodecType(getattr(transformers, name), codec, label, None)
    for model_type, (name, codec, label) in _NEWER.items()
    if hasattr(transformers, name)
}


def codec_type(model_type: str, name: str) -> CodecType:
    """The kind of codec ``name``; GibletError for one that giblet cannot run.

    >>> codec_type("dac", "descript/dac_24khz").architecture
    'snake'
    """
    if model_type in CODEC_TYPES:
        return CODEC_TYPES[model_type]
    if model_type in _NEWER:
        raise GibletError(
            f"codec {name}: a {model_type} model needs a newer transformers than "
            f"{transformers.__version__}: pip install --upgrade transformers"
        )
    known = ", ".join(CODEC_TYPES)
    raise GibletError(
        f"codec {name}: a {model_type} model, none of {known}"
        f"{nearest_name(model_type, list(CODEC_TYPES))}. Give the folder or id of one of these, or "
        "train one with giblet codec train"
    )
