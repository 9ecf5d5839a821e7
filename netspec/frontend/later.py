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


def squeezed(name: str) -> str:
    """A name without capitals and dashes: `batchSize` and `batch_size` are `batchsize`."""
    return name.lower().replace("_", "")


_OTHER_WORDS = {
    "linear_layer": "affine", "dense": "affine", "fc": "affine", "fully_connected": "affine", "conv2d": "conv", "convolution": "conv",
    "maxpool": "pool", "max_pool": "pool", "maxpool2d": "pool", "max_pool2d": "pool", "avg_pool": "avgpool", "avgpool2d": "avgpool",
    "averagepool": "avgpool", "batchnorm": "bn", "batch_norm": "bn", "batchnorm1d": "bn", "batchnorm2d": "bn", "batchnormalization": "bn",
    "layer_norm": "layernorm", "layernormalization": "layernorm", "group_norm": "groupnorm", "groupnormalization": "groupnorm",
    "leakyrelu": "leaky_relu", "lrelu": "leaky_relu", "identity": "id", "logistic": "sigmoid", "hinge": "svm",
    "gap": "globalpool", "global_pool": "globalpool", "globalavgpool": "globalpool", "drop": "dropout", "reshape_flat": "flatten",
    "momentum": "sgd", "mse": "squared_error", "l2": "squared_error", "mae": "l1", "crossentropy": "cross_entropy", "xent": "cross_entropy",
    "binary_cross_entropy": "bce", "glorot": "xavier", "kaiming": "he", "gaussian": "normal", "swish": "silu",
    "spatial_dropout": "dropout2d", "spatialdropout2d": "dropout2d",
    "max_pooling": "pool", "max_pooling2d": "pool", "average_pooling": "avgpool", "average_pooling2d": "avgpool", "mean_pool": "avgpool",
    "global_avg_pool": "globalpool", "global_average_pooling": "globalpool", "global_average_pooling2d": "globalpool",
    "global_avg_pool2d": "globalpool", "global_average_pool": "globalpool", "global_mean_pool": "globalpool",
    "adaptive_avg_pool2d": "globalpool", "upsampling": "upsample", "upsampling2d": "upsample", "upsampling_nearest2d": "upsample",
    "resize": "upsample", "interpolate": "upsample", "concatenate": "concat", "cat": "concat", "stack": "concat", "multiply": "mul",
    "plus": "add", "sum": "add", "noop": "id", "linear": "affine", "lazy_linear": "affine", "group_normalization": "groupnorm",
    "dropout1d": "dropout", "log_softmax": "softmax", "view": "reshape", "unflatten": "reshape", "convolution2d": "conv",
    "residual": "res", "residual_block": "res", "resblock": "res", "res_block": "res", "skip": "res", "shortcut": "res",
}  # fmt: skip
OTHER_WORDS = {squeezed(name): ours for name, ours in _OTHER_WORDS.items()}
"""What other libraries call an entry of ours, squeezed."""

OTHER_FORMS = {
    "res": "write res[...] around the chain that the skip goes past",
    **dict.fromkeys(("input", "inputlayer"), "the shape of a row is an entry beside the net: input 3x32x32"),
    "conv1x1": "write conv(16, kernel=1)",
    "conv3x3": "write conv(16), whose kernel is 3",
    **dict.fromkeys(
        ("separableconv2d", "separableconv"), "write conv(16, groups=16)-conv(32, kernel=1), 16 being the channels that come in"
    ),
    **dict.fromkeys(("depthwiseconv2d", "depthwiseconv", "depthwise"), "write conv(16, groups=16), 16 being the channels that come in"),
    **dict.fromkeys(("zeropadding2d", "zeropad2d", "pad"), "conv pads by itself (pad=same); write conv(16, pad=2) or pool(2, pad=1)"),
    **dict.fromkeys(("globalmaxpooling2d", "globalmaxpool2d", "adaptivemaxpool2d"), "write pool(8)-flatten, 8 being the height and width"),
    "instancenorm2d": "write groupnorm(16), 16 being the channels",
    **dict.fromkeys(("activation", "act"), "an activation is a layer of its own: write relu, tanh, ..."),
}
"""What to write for a layer of other libraries that is no single name here; by what `OTHER_WORDS` says, or by the squeezed name."""

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

OTHER_KEYS = {squeezed(name): ours for name, ours in _OTHER_KEYS.items()}

OTHER_VALUES = {("pad", "valid"): "0", ("pad", "none"): "0", ("pad", "full"): "a number, such as 2"}
"""Words that other libraries have for a value of an argument."""

MISPLACED = {
    "tied": "`tied` stands behind the count of a repeat: [...]x3 tied",
    **dict.fromkeys(("import", "include", "load", "require"), 'the defs of a file are brought by: use "blocks.net"'),
}
"""Words that stand where a layer does, and what they are for."""

CALLED_ELSEWHERE = {"linear": "linear is the head for values; the layer of that name elsewhere is affine: write affine({})"}
"""Entries without arguments that other libraries call with some."""
