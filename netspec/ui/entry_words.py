"""The words of a text that are no entries of the catalogue: each with an example and what it is."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "netspec": ("netspec 1", "The version of the language that the text is written in. Without it the newest is read, with a warning."),
    "let": ("let width = 100", "Names a value: a number, a shape, a layer, a call. It stands before its use; `--set width=64` changes it."),
    "def": ("def hidden(w, p = 25%) = affine(w)-bn-relu-dropout(p)", "Names a chain, with parameters. It stands before its use."),
    "use": ('use "blocks.net"', "Brings the defs of another file, beside this one; its `let`s stay its own."),
    "data": ("data { source = digits; split = 80% / 10% / 10% }", "Where the rows come from, how they are split and prepared."),
    "input": (
        "input 3x32x32",
        "The shape of one row: the features of a vector, or channels x height x width. Data that knows it gives it too.",
    ),
    "classes": ("classes 10", "How many classes there are: the width of the last affine. It goes with softmax, svm and sigmoid."),
    "outputs": ("outputs 1", "How many numbers are predicted: the width of the last affine. It goes with linear, or no head."),
    "net": ("net [affine-bn-relu-dropout]x4 -> affine -> softmax", "The chain of layers. `-` binds tighter than `->`."),
    "train": ("train { optimizer = adam(lr=1e-3); batch = 100; epochs = 10 }", "How the net is trained."),
    "defaults": ("defaults { affine.width = 64 }", "Values of arguments for all layers of a kind, where the call is silent."),
    "search": (
        "search { width = choice(64, 128); train.lr = log(1e-4, 1e-1) }",
        "What `netspec sweep` tries, for `let` names and keys of train: `choice`, `range` or `log`. Training leaves it aside.",
    ),
    "seed": ("seed 7", "Of everything random: initial weights, order of rows, dropout, splits."),
}
"""Each entry word with an example and what it is."""
SEARCH_WORDS: dict[str, tuple[str, str]] = {
    "choice": ("search { act = choice(relu, gelu) }", "In `search`: one of the values, which may be numbers, words, layers or calls."),
    "range": (
        "search { depth = range(2, 6) }",
        "In `search`: a number between two, both included; a whole number where both ends are whole.",
    ),
    "log": (
        "search { train.lr = log(1e-4, 1e-1) }",
        "In `search`: a number between two, as likely in each decade; a whole number where both ends are whole.",
    ),
}
"""The calls of a `search` section."""
BLOCK_WORDS: dict[str, tuple[str, str]] = {
    "res": ("res[conv(16)-bn-relu-conv(16)-bn]", "The chain, and a way around it, added: `add([chain] | id)`. Both have the same shape."),
    "proj": (
        "res[conv(32, stride=2)-bn](proj)",
        "A 1x1 convolution on the way around, with the body's stride; an affine for vectors. Its weights are `proj1.W`, `proj1.b`.",
    ),
    "tied": ("[affine(64)-relu]x3 tied", "The copies share one set of weights, so the chain gives the shape that it takes."),
    "@": ("affine(64)-relu @stem", "Names the point behind a unit; `add(id | @stem)` goes on from there later."),
}
"""Words of a chain that are no layers."""
