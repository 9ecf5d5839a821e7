"""Why a layer of another library has no counterpart, by its name there."""

from __future__ import annotations

from netspec.frontend.later import NOT_IN_LANGUAGE

IN_DATA = {
    "rescaling": "rows are prepared in the data section: normalize = rescale",
    "normalization": "rows are prepared in the data section: normalize = per_feature, or per_channel",
    "resizing": "pictures are resized in the data section: size = 32x32",
    "centercrop": "pictures are resized in the data section: size = 32x32",
    "randomflip": "images are changed while training by the data section: transforms = flip",
    "randomcrop": "images are changed while training by the data section: transforms = crop(4)",
    "randomtranslation": "images are changed while training by the data section: transforms = crop(4)",
    "randomerasing": "images are changed while training by the data section: transforms = cutout(8)",
    "categoryencoding": "columns of text are encoded in the data section: transforms = one_hot",
    "stringlookup": "columns of text are encoded in the data section: transforms = one_hot",
    "lambda": "it is a function of Python, which is never run; write the layer that it stands for",
}
_ELSEWHERE = {
    "transposed convolutions": ("conv1dtranspose", "conv3dtranspose", "convtranspose1d", "convtranspose3d"),
    "recurrence": ("convlstm2d", "convlstm1d", "lstmcell", "grucell"),
    "sequences": ("timedistributed", "masking"),
    "attention": ("additiveattention", "multiheadattention", "transformerencoderlayer", "transformerencoder", "scaleddotproductattention"),
    "embeddings": ("embeddingbag",),
    "1-d and 3-d convolutions": (
        "maxpooling1d", "averagepooling1d", "globalaveragepooling1d", "globalmaxpooling1d", "separableconv1d", "zeropadding1d",
        "adaptiveavgpool1d", "maxpooling3d", "averagepooling3d", "maxpool3d", "avgpool3d", "batchnorm3d",
    ),
}  # fmt: skip
KINDS = {name: what for what, names in _ELSEWHERE.items() for name in names}
SINGULAR = ("recurrence", "attention")


def why_unknown(name: str) -> str:
    """Why there is no layer for `name`."""
    word = name.lower().replace("_", "")
    if word in IN_DATA:
        return IN_DATA[word]
    kind = KINDS.get(word) or NOT_IN_LANGUAGE.get(word)
    if kind is not None:
        return f"{kind} {'is' if kind in SINGULAR else 'are'} not in version 1 of the language"
    return "no layer here is the same; `netspec layers` lists those that there are"
