"""Names that the field knows and this version does not, so that the message can say so."""

from __future__ import annotations

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

_OTHER_KEYS = {
    "weight_decay": "l2", "regularization": "l2", "reg": "l2", "early_stopping": "early_stop", "patience": "early_stop",
    "batch_size": "batch", "minibatch": "batch", "learning_rate": "lr", "rate": "lr", "num_epochs": "epochs", "epoch": "epochs",
    "max_epochs": "epochs", "iterations": "epochs", "lr_schedule": "schedule", "scheduler": "schedule", "lr_scheduler": "schedule",
    "grad_clip": "clip", "gradient_clip": "clip", "clip_norm": "clip", "max_norm": "clip", "criterion": "loss", "objective": "loss",
    "class_weight": "class_weights", "precision": "dtype", "augment": "transforms", "augmentation": "transforms",
    "preprocess": "transforms", "validation_split": "split", "label": "target", "labels": "y", "columns": "features", "file": "path",
    "image_size": "size", "resize": "size", "units": "width", "hidden": "width", "neurons": "width", "out_features": "width",
    "features_out": "width", "out_channels": "filters", "channels": "filters", "kernel_size": "kernel", "strides": "stride",
    "padding": "pad", "pool_size": "window", "kernel_width": "kernel", "use_bias": "bias", "drop": "p", "negative_slope": "slope",
    "beta_1": "beta1", "beta_2": "beta2", "epsilon": "eps", "rho": "decay", "alpha": "decay", "num_groups": "groups",
    "scale_factor": "factor", "target_shape": "shape", "kernel_initializer": "init", "initializer": "init", "trainable": "frozen",
    "lrate": "lr", "n_epochs": "epochs", "wd": "l2", "valid": "split", "val_split": "split", "validation": "split", "workers": "threads",
}  # fmt: skip
"""What other libraries call a key or an argument of ours; of the same owner alone."""

LAYER_OF_ITS_OWN = "{value} is a layer of its own: write {owner}(...)-{value}"
KEYS_OF_TRAINING = {
    "momentum": "momentum is an argument of an optimizer: write optimizer = sgd(momentum={value})",
    "shuffle": "rows are shuffled anew in each epoch, by the seed",
}
"""Keys of other libraries that are something else here."""


def squeezed(key: str) -> str:
    """A key without capitals and dashes: `batchSize` and `batch_size` are `batchsize`."""
    return key.lower().replace("_", "")


OTHER_KEYS = {squeezed(name): ours for name, ours in _OTHER_KEYS.items()}

MISPLACED = {
    "tied": "`tied` stands behind the count of a repeat: [...]x3 tied",
    **dict.fromkeys(("import", "include", "load", "require"), 'the defs of a file are brought by: use "blocks.net"'),
}
"""Words that stand where a layer does, and what they are for."""

CALLED_ELSEWHERE = {"linear": "linear is the head for values; the layer of that name elsewhere is affine: write affine({})"}
"""Entries without arguments that other libraries call with some."""
