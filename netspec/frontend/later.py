"""Names that the field knows and this version does not, so that the message can say so."""

from __future__ import annotations

from netspec.base.entry import Entry
from netspec.base.layer import Layer

LATER: dict[type[Entry], frozenset[str]] = {
    Layer: frozenset({
        "add", "concat", "mul", "res",
    }),
}  # fmt: skip
"""In the language, not in this version of netspec yet."""

LATER_KEYS: dict[str, frozenset[str]] = {
    "train": frozenset({"early_stop", "checkpoint"}),
    "affine": frozenset({"tie"}),
}

_ELSEWHERE = {
    "dilated convolutions": ("dilated", "dilatedconv", "dilated_conv", "dilatedconv2d", "atrous", "dilation"),
    "transposed convolutions": ("deconv", "convtranspose", "conv_transpose", "convtranspose2d", "conv2dtranspose", "transposed", "tconv"),
    "1-d and 3-d convolutions": ("conv1d", "conv3d", "pool1d", "maxpool1d", "avgpool1d", "pool3d"),
    "recurrence": ("rnn", "lstm", "gru", "recurrent", "bilstm", "bigru", "simplernn", "bidirectional"),
    "attention": ("attention", "mha", "multihead", "multiheadattention", "selfattention", "self_attention", "transformer"),
    "embeddings": ("embedding", "embed"),
}  # fmt: skip
NOT_IN_LANGUAGE = {name: what for what, names in _ELSEWHERE.items() for name in names}
"""Not in version 1 of the language at all."""

OTHER_WORDS = {
    "linear_layer": "affine", "dense": "affine", "fc": "affine", "fully_connected": "affine", "conv2d": "conv", "convolution": "conv",
    "maxpool": "pool", "max_pool": "pool", "maxpool2d": "pool", "max_pool2d": "pool", "avg_pool": "avgpool", "avgpool2d": "avgpool",
    "averagepool": "avgpool", "batchnorm": "bn", "batch_norm": "bn", "batchnorm1d": "bn", "batchnorm2d": "bn", "batchnormalization": "bn",
    "layer_norm": "layernorm", "layernormalization": "layernorm", "group_norm": "groupnorm", "groupnormalization": "groupnorm",
    "leakyrelu": "leaky_relu", "lrelu": "leaky_relu", "identity": "id", "logistic": "sigmoid", "hinge": "svm",
    "gap": "globalpool", "global_pool": "globalpool", "globalavgpool": "globalpool", "drop": "dropout", "reshape_flat": "flatten",
    "momentum": "sgd", "mse": "squared_error", "l2": "squared_error", "mae": "l1", "crossentropy": "cross_entropy", "xent": "cross_entropy",
    "binary_cross_entropy": "bce", "glorot": "xavier", "kaiming": "he", "gaussian": "normal", "swish": "silu",
    "spatial_dropout": "dropout2d", "spatialdropout2d": "dropout2d",
}  # fmt: skip
"""What other libraries call an entry of ours."""
