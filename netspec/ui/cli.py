"""The command line: verbs and their options. What a verb does stands in verbs/, and is imported when the verb is called."""

from __future__ import annotations

import gc
import importlib
import io
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from netspec.ui.guard import guarded, last_line


class _Group(TyperGroup):
    """The verbs; a command line that cannot be read is told in the words of every other error."""

    def main(self, *args: Any, **more: Any) -> Any:
        if not more.get("standalone_mode", True):
            return super().main(*args, **more)
        try:
            code = super().main(*args, **{**more, "standalone_mode": False})
        except Exception as error:
            if not hasattr(error, "show"):
                raise
            told = io.StringIO()
            error.show(told)
            print(told.getvalue().replace("\nError: ", "\nerror: ").replace("Value error, ", ""), end="", file=sys.stderr)
            code = getattr(error, "exit_code", 2)
        sys.exit(code or 0)


app = typer.Typer(
    cls=_Group, help="A compiler for declared neural networks: a .net file in, a trained model out.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .net file.", show_default=False)]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a weights file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A let name, or a section's key such as train.batch. Repeatable.")
]
Input = Annotated[str | None, typer.Option("--input", metavar="SHAPE", help="Shape of a row: 3x32x32, or 30.")]
Classes = Annotated[int | None, typer.Option("--classes", min=2, metavar="N", help="Number of classes.")]
Outputs = Annotated[int | None, typer.Option("--outputs", min=1, metavar="N", help="Number of outputs.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Seed of everything random.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, metavar="N", help="Threads to use.")]
Dtype = Annotated[Literal["float32", "float64"] | None, typer.Option("--dtype", help="Element type.")]
Threshold = Annotated[
    float | None, typer.Option("--threshold", metavar="P", help="Probability above which a row has label 1, for sigmoid; 0.5 if not given.")
]
AllowPath = Annotated[
    list[Path] | None, typer.Option("--allow-path", metavar="PATH", help="Folder outside the usual ones where data may lie. Repeatable.")
]


def main() -> None:
    """The entry point."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files and words of specs that the terminal's encoding lacks
    app(prog_name="netspec")


def _load(name: str) -> Any:
    """A module of ui, when it is needed."""
    gc.disable()  # looking for garbage while the catalogue's classes are made was a tenth of the time of `check`
    try:
        return importlib.import_module(f"netspec.ui.{name}")
    finally:
        gc.enable()


def _verb(name: str) -> Any:
    return _load(f"verbs.{name}")


def _overrides(pairs: list[str] | None, **given: Any) -> Any:
    return _load("given").overrides_of(pairs or [], **given)


def _print_version(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(_verb("version").run())


@app.callback()
def top(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None: ...


@app.command()
@guarded
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".net files.", show_default=False)],
    pairs: Set = None, input: Input = None, classes: Classes = None, outputs: Outputs = None, json: Json = False,  # noqa: A002
) -> int:  # fmt: skip
    """Find everything that is wrong with .net files."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs)
    return int(_verb("check").run(files, overrides, json=json))


@app.command()
@guarded
def summary(
    file: File,
    batch: Annotated[int | None, typer.Option("--batch", min=1, metavar="N", help="Rows of a batch; train.batch if not given.")] = None,
    pairs: Set = None, input: Input = None, classes: Classes = None, outputs: Outputs = None, json: Json = False,  # noqa: A002
) -> int:  # fmt: skip
    """Show the net by layer: shapes, parameters, FLOPs, memory."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, batch=batch)
    return int(_verb("summary").run(file, overrides, json=json))


@app.command(name="compile")
@guarded
def compile_(
    file: File,
    emit: Annotated[
        Literal["ast", "program", "graph", "groups", "kernels", "plan"] | None, typer.Option("--emit", help="Print one stage instead.")
    ] = None,
    pairs: Set = None, input: Input = None, classes: Classes = None, outputs: Outputs = None,  # noqa: A002
    threads: Threads = None, dtype: Dtype = None, json: Json = False,
) -> int:  # fmt: skip
    """Build the plan and its kernels, and show each launch."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, threads=threads, dtype=dtype)
    return int(_verb("compile").run(file, overrides, emit=emit, json=json))


@app.command()
@guarded
def train(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A .net file; may be left out with --resume.", show_default=False)
    ] = None,
    pairs: Set = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Passes over the training rows.")] = None,
    seed: Seed = None, threads: Threads = None, dtype: Dtype = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="PATH", help="The run folder itself, new or empty; runs/<name> if not given.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run that ended early, in its folder; --epochs more than it had."),
    ] = None,
    overfit: Annotated[
        int | None, typer.Option("--overfit", min=1, metavar="N", help="Train on the first N training rows alone, as a check.")
    ] = None,
    lr_find: Annotated[
        bool, typer.Option("--lr-find", help="Try growing learning rates and suggest one; lr_find.png in the working folder or --run-dir.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the data and make the plan; train and write nothing.")] = False,
    input: Input = None, classes: Classes = None, outputs: Outputs = None, allow_path: AllowPath = None,  # noqa: A002
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the run folder.")] = False, json: Json = False,
) -> int:  # fmt: skip
    """Train a net on its data, into a run folder."""
    with last_line(json):
        overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, seed=seed, epochs=epochs, threads=threads, dtype=dtype)
        verb = _verb("train")
        file = verb.file_of(file, resume, lr_find or dry_run)
        if lr_find:
            return int(verb.lr_find(file, overrides, folder=run_dir, allow=allow_path or [], overfit=overfit, json=json))
        if dry_run:
            return int(verb.dry_run(file, overrides, allow=allow_path or [], overfit=overfit, json=json))
        more = {"run_dir": run_dir, "allow": allow_path or [], "overfit": overfit, "resume": resume}
        return int(verb.run(file, overrides, **more, quiet=quiet, json=json))


@app.command(name="eval")
@guarded
def eval_(
    run: RunPath,
    split: Annotated[
        Literal["train", "validation", "test"] | None,
        typer.Option("--split", help="Which rows of the run's data; test if not given, or validation where there is no test part."),
    ] = None,
    data: Annotated[Path | None, typer.Option(
        "--data", metavar="PATH", help="Other rows: an npz with x and y, a table, or pictures in a folder for each class."
    )] = None,
    last: Annotated[bool, typer.Option("--last", help="The last weights, not the best.")] = False,
    top: Annotated[int, typer.Option("--top", min=1, metavar="K", help="The label is among the K classes of largest score.")] = 5,
    threshold: Threshold = None, allow_path: AllowPath = None, json: Json = False,
) -> int:  # fmt: skip
    """Loss and metrics of a trained net, by class too."""
    return int(
        _verb("evaluate").run(run, split=split, data=data, last=last, allow=allow_path or [], json=json, threshold=threshold, top=top)
    )


@app.command()
@guarded
def predict(
    run: RunPath,
    rows: Annotated[Path, typer.Argument(metavar="INPUT", help="Rows: .npy, .npz (array x), a table; pictures: a file, folder or zip.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Write .csv, .parquet, .npz or .jsonl; else CSV on stdout.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The last weights, not the best.")] = False,
    threshold: Threshold = None, json: Json = False,
) -> int:  # fmt: skip
    """Labels and probabilities of new rows."""
    return int(_verb("predict").run(run, rows, output=output, last=last, json=json, threshold=threshold))


@app.command()
@guarded
def gradcheck(
    file: File,
    pairs: Set = None, input: Input = None, classes: Classes = None, outputs: Outputs = None, seed: Seed = None,  # noqa: A002
    json: Json = False,
) -> int:  # fmt: skip
    """Compare gradients with numeric ones, in float64."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, seed=seed)
    return int(_verb("gradcheck").run(file, overrides, json=json))


@app.command()
@guarded
def bench(
    file: File,
    batch: Annotated[int | None, typer.Option("--batch", min=1, metavar="N", help="Rows of a batch; train.batch if not given.")] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.0, metavar="S", help="How long to measure.")] = 3.0,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="PEERS", help="The same net in other libraries: torch, jax, or torch,jax.")
    ] = None,
    threads: Threads = None, dtype: Dtype = None, pairs: Set = None,
    input: Input = None, classes: Classes = None, outputs: Outputs = None, json: Json = False,  # noqa: A002
) -> int:  # fmt: skip
    """Time a training step, launch by launch, beside this machine's peak."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, batch=batch, threads=threads, dtype=dtype)
    return int(_verb("bench").run(file, overrides, threads=threads, seconds=seconds, peers=compare, json=json))


@app.command()
@guarded
def draw(
    file: File,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="An .svg; the file's name in the current folder if not given.")
    ] = None,
    unroll: Annotated[bool, typer.Option("--unroll", help="Every copy of a repeat, also where they are alike.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="A mermaid flowchart on stdout instead.")] = False,
    batch: Annotated[int | None, typer.Option("--batch", min=1, metavar="N", help="Rows of a batch; train.batch if not given.")] = None,
    pairs: Set = None, input: Input = None, classes: Classes = None, outputs: Outputs = None, json: Json = False,  # noqa: A002
) -> int:  # fmt: skip
    """Draw the data's way through the net, forward and backward."""
    overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, batch=batch)
    return int(_verb("draw").run(file, overrides, output=output, unroll=unroll, as_mermaid=mermaid, json=json))


@app.command()
@guarded
def plot(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or weights files in them.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="A .png or .svg; curves.png or filters.png if not given.")
    ] = None,
    filters: Annotated[bool, typer.Option("--filters", help="The first layer's weights as a grid of pictures.")] = False,
    last: Annotated[bool, typer.Option("--last", help="With --filters: the last weights, not the best.")] = False,
) -> int:
    """Draw loss and accuracy curves of runs, or the weights of one."""
    return int(_verb("plot").run(runs, output=output, filters=filters, last=last))


@app.command()
@guarded
def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or weights files in them.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="The .html; in the run's folder, or here for several runs.")
    ] = None,
    allow_path: AllowPath = None, json: Json = False,
) -> int:  # fmt: skip
    """Make the report of a run anew, or a page that compares several."""
    return int(_verb("report").run(runs, output=output, allow=allow_path or [], json=json))


@app.command()
@guarded
def fmt(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".net files; - for stdin to stdout.", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; name what would change, exit 1 if any would.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change as a unified diff.")] = False,
    explicit: Annotated[bool, typer.Option("--explicit", help="Write out every value that comes from a default.")] = False,
) -> int:
    """Format .net files in place; comments are kept."""
    return int(_verb("fmt").run(files, check=check, diff=diff, explicit=explicit))


@app.command()
@guarded
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A .net file, a run folder, or a weights file.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Likewise.", show_default=False)],
    input: Input = None, classes: Classes = None, outputs: Outputs = None, json: Json = False,  # noqa: A002
) -> int:  # fmt: skip
    """What two specs or runs mean differently.

    Exit 0 where they mean the same, 1 where they do not, 3 where one of them is wrong.
    """
    return int(_verb("diff").run(a, b, _overrides(None, input=input, classes=classes, outputs=outputs), json=json))


@app.command()
@guarded
def migrate(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if anything would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change as a unified diff.")] = False,
) -> int:
    """Bring a .net file to the newest version of the language."""
    return int(_verb("migrate").run(file, check=check, diff=diff))


@app.command()
@guarded
def layers(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A layer, head, loss, optimizer, ...", show_default=False)] = None,
    json: Json = False,
) -> int:
    """The catalogue: arguments, defaults, shapes, formulas, examples."""
    return int(_verb("layers").run(name, json=json))


@app.command()
@guarded
def init(
    data: Annotated[Path, typer.Argument(
        metavar="DATA", help="A table, arrays, or a folder or zip of pictures; or a source such as digits.", show_default=False
    )],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The new .net; the data's name in this folder if not given.")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="NAME", help="The column of labels; the last one, or one of that name, if not given.")
    ] = None,
    allow_path: AllowPath = None, json: Json = False,
) -> int:  # fmt: skip
    """Write a starting .net for a data file."""
    return int(_verb("init").run(data, output=output, target=target, allow=allow_path or [], json=json))


@app.command()
@guarded
def convert(
    model: Annotated[Path, typer.Argument(
        metavar="MODEL", help="Keras: model.to_json(), .keras. PyTorch: print(model), .pt2. - is stdin.", show_default=False
    )],
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="The new .net; stdout if not given.")] = None,
    input: Annotated[  # noqa: A002
        str | None, typer.Option("--input", metavar="SHAPE", help="Shape of a row, where the model does not say it: 3x32x32, or 30.")
    ] = None,
    head: Annotated[
        Literal["softmax", "svm", "sigmoid", "linear"] | None, typer.Option("--head", help="The head, where the model ends in scores.")
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Write a model of Keras or PyTorch as a .net."""
    return int(_verb("convert").run(model, output=output, input=input, head=head, json=json))


@app.command()
@guarded
def explain(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Such as NS402.", show_default=False)] = None, json: Json = False
) -> int:
    """The page of a diagnostic."""
    return int(_verb("explain").run(code, json=json))


@app.command()
@guarded
def doctor(
    clear_cache: Annotated[bool, typer.Option("--clear-cache", help="Delete all compiled kernels and decoded images.")] = False,
    json: Json = False,
) -> int:
    """Versions, processor, threads, kernel cache, extras."""
    return int(_verb("doctor").run(clear_cache=clear_cache, json=json))


@app.command()
@guarded
def lsp(
    stdio: Annotated[bool, typer.Option("--stdio", help="What it does anyway; editors tend to add this option.")] = True,
) -> int:
    """Serve editors over stdin and stdout (Language Server Protocol)."""
    return int(_verb("lsp").run())
