"""The command line: verbs and their options. What a verb does stands in verbs/, and is imported when the verb is called."""

from __future__ import annotations

import gc
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from netspec.save.announced import announced, place_of
from netspec.ui.app import app
from netspec.ui.guard import guarded, last_line
from netspec.ui.options import (
    CODES,
    MEANINGS,
    NAMES,
    NETS,
    RUNS,
    WORDS,
    AllowPath,
    Classes,
    Dtype,
    File,
    Input,
    Json,
    Outputs,
    RunPath,
    Seed,
    Set,
    Threads,
    Threshold,
    candidates,
    load,
)


def main() -> None:
    """The entry point."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files and words of specs that the terminal's encoding lacks
    try:
        app(prog_name="netspec")
    finally:
        gc.freeze()  # the interpreter would look through all objects again before it ends: 0.6 s after a training


def _open_what_is_closed() -> None:
    """A standard stream that the caller has closed leads nowhere: the next file to be opened would take its place, and be written to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115  for as long as the process is there


def _verb(name: str) -> Any:
    return load(f"verbs.{name}")


def _overrides(pairs: list[str] | None, **given: Any) -> Any:
    return load("given").overrides_of(pairs or [], **given)


@app.command()
@guarded
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".net files.", **NETS)],
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
        Path | None, typer.Argument(metavar="FILE", help="A .net file; may be left out with --resume.", **NETS)
    ] = None,
    pairs: Set = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Passes over the training rows.")] = None,
    seed: Seed = None, threads: Threads = None, dtype: Dtype = None,
    run_dir: Annotated[
        Path | None, typer.Option("--run-dir", metavar="PATH", help="The run folder itself, new or empty; runs/<name> if not given.")
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run that ended early, in its folder; or with more --epochs.", **RUNS),
    ] = None,
    overfit: Annotated[
        int | None, typer.Option("--overfit", min=1, metavar="N", help="Train on the first N training rows alone, as a check.")
    ] = None,
    lr_find: Annotated[
        bool, typer.Option("--lr-find", help="Try growing learning rates and suggest one; lr_find.png in the working folder or --run-dir.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read the data and make the plan; train and write nothing.")] = False,
    local_bn: Annotated[
        bool, typer.Option("--local-bn", help="Under mpiexec: bn takes a process's own rows, not the whole batch.")
    ] = False,
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log", metavar="TOOL", help="tensorboard[=DIR], mlflow[=URI] or wandb[=online] hears of it too, on this machine. Repeatable.",
            autocompletion=candidates("tools"),
        ),
    ] = None,
    input: Input = None, classes: Classes = None, outputs: Outputs = None, allow_path: AllowPath = None,  # noqa: A002
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the run folder.")] = False, json: Json = False,
) -> int:  # fmt: skip
    """Train a net on its data, into a run folder."""
    with last_line(json), announced(_place_of_training(run_dir, resume, lr_find or dry_run)):
        overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, seed=seed, epochs=epochs, threads=threads, dtype=dtype)
        verb = _verb("train")
        file = verb.file_of(file, resume, lr_find or dry_run)
        if lr_find:
            return int(verb.lr_find(file, overrides, folder=run_dir, allow=allow_path or [], overfit=overfit, json=json))
        if dry_run:
            return int(verb.dry_run(file, overrides, allow=allow_path or [], overfit=overfit, json=json))
        more = {"run_dir": run_dir, "allow": allow_path or [], "overfit": overfit, "resume": resume, "log": log or [], "local_bn": local_bn}
        return int(verb.run(file, overrides, **more, quiet=quiet, json=json))


def _readable(ctx: typer.Context, words: list[str]) -> list[str]:
    """The words of another command line, once `netspec` can read it; what is wrong with it is told here, and not by every process. What
    `train` reads in them is the object of the context."""
    group: Any = ctx.find_root().command
    name, command, rest = group.resolve_command(ctx.find_root(), words)
    if name != "train":
        raise typer.BadParameter("launch starts `train`: netspec launch -n 4 train FILE")
    ctx.obj = command.make_context(name, rest, parent=ctx.find_root()).params
    return words


def _place_of_training(run_dir: Path | str | None, resume: Path | str | None, only_looks: bool) -> Path | None:
    """Where the run will lie, if one is made."""
    given = run_dir or resume
    return None if only_looks else place_of(Path(given) if given else None)


@app.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@guarded
def launch(
    ctx: typer.Context,
    words: Annotated[list[str], typer.Argument(
        metavar="train FILE ...", help="train with its own options.", callback=_readable, **WORDS
    )],
    ranks: Annotated[int, typer.Option("--ranks", "-n", min=1, metavar="N", help="Processes that share each batch.")] = 2,
    max_restarts: Annotated[int, typer.Option(
        "--max-restarts", min=0, metavar="K", help="How often all begin again from the last state where one was lost."
    )] = 0,
    restart_ranks: Annotated[
        int | None, typer.Option("--restart-ranks", min=1, metavar="N", help="Processes after a restart; as many if not given.")
    ] = None,
    deadline: Annotated[
        float | None, typer.Option("--deadline", min=0.1, metavar="SECONDS", help="How long one waits for the others in a step; 60.")
    ] = None,
    mpi: Annotated[
        list[str] | None, typer.Option("--mpi", metavar="WORD", help="A word for mpiexec, such as --mpi=-hosts=a,b. Repeatable.")
    ] = None,
) -> int:  # fmt: skip
    """Train a net in several processes, on one machine or several (MPI)."""
    more = {"ranks": ranks, "restarts": max_restarts, "restart_ranks": restart_ranks, "deadline": deadline, "mpi": mpi or []}
    asked = ctx.obj
    with announced(_place_of_training(asked["run_dir"], asked["resume"], asked["lr_find"] or asked["dry_run"])):
        return int(_verb("launch").run(words, asked, **more))


@app.command()
@guarded
def sweep(
    file: File,
    workers: Annotated[int, typer.Option("--workers", min=1, metavar="N", help="Trials at the same time; they share the cores.")] = 1,
    trials: Annotated[
        int | None,
        typer.Option("--trials", min=1, metavar="M", help="All of the study, those done before too; 20, or a whole grid."),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="URL", help="A database that machines share; an SQLite file in the sweep's folder if not given."),
    ] = None,
    study: Annotated[str | None, typer.Option("--study", metavar="NAME", help="Name in the database; the file's if not given.")] = None,
    sampler: Annotated[
        Literal["tpe", "random", "grid"], typer.Option("--sampler", help="Values by what went well before, at random, or all in order.")
    ] = "tpe",
    pruner: Annotated[
        Literal["none", "median", "hyperband"], typer.Option("--pruner", help="How a trial that does badly is ended early.")
    ] = "median",
    metric: Annotated[
        Literal["val_accuracy", "val_loss"] | None,
        typer.Option("--metric", help="What is compared; val_accuracy if not given, val_loss where numbers are predicted."),
    ] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="Save and end after so long; the same command goes on.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="PATH", help="Folder of the sweep; runs/sweeps/<study> if not given.")
    ] = None,
    heartbeat: Annotated[
        int, typer.Option("--heartbeat", min=1, metavar="SECONDS", help="Between signs of life; after three without, a trial is lost.")
    ] = 20,
    pairs: Set = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, metavar="N", help="Passes over the training rows.")] = None,
    seed: Seed = None, dtype: Dtype = None, input: Input = None, classes: Classes = None, outputs: Outputs = None,  # noqa: A002
    allow_path: AllowPath = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the path of the best spec.")] = False, json: Json = False,
) -> int:  # fmt: skip
    """Train with the values that the search section names, and write out the best."""
    with last_line(json), announced(place_of()), announced(folder):
        overrides = _overrides(pairs, input=input, classes=classes, outputs=outputs, seed=seed, epochs=epochs, dtype=dtype)
        verb = _verb("sweep")
        wanted = verb.Wanted(workers, trials, storage, study, sampler, pruner, metric, timeout, folder, heartbeat)
        return int(verb.run(file, overrides, wanted, allow=allow_path or [], quiet=quiet, json=json))


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
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or weights files in them.", **RUNS)],
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
def export(
    run: RunPath,
    onnx: Annotated[bool, typer.Option("--onnx", help="An ONNX file, opset 17: raw rows to scores, probabilities and labels.")] = False,
    torch: Annotated[bool, typer.Option("--torch", help="A module of PyTorch: its source, and its weights beside it.")] = False,
    numpy: Annotated[bool, typer.Option("--numpy", help="One Python file, weights included, that needs NumPy alone.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="A file, or a folder; the run's name in this one if not given.")
    ] = None,
    last: Annotated[bool, typer.Option("--last", help="The last weights, not the best.")] = False,
    json: Json = False,
) -> int:  # fmt: skip
    """Write a trained net for ONNX, PyTorch or NumPy."""
    options = [name for name, asked in (("--onnx", onnx), ("--torch", torch), ("--numpy", numpy)) if asked]
    return int(_verb("export").run(run, options, output=output, last=last, json=json))


@app.command()
@guarded
def runs(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Where the runs lie; runs/ if not given.",
            show_default=False,
            autocompletion=candidates("run_parents"),
        ),
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="time (newest first), name, or a figure (best first): val_accuracy, f1, seconds.",
            autocompletion=candidates("figures", "keys"),
        ),
    ] = "time",
    json: Json = False,
) -> int:
    """List runs with their figures, the newest first."""
    return int(_verb("runs").run(folder, sort=sort, json=json))


@app.command()
@guarded
def watch(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", help="A run, or a folder of runs, such as a sweep's; runs/ if not given.", **RUNS),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print one frame and exit.")] = False,
) -> int:
    """Follow a run in the terminal: progress, figures, curves.

    Of several runs the one at work is followed, else the newest. In a pipe or file it is a line for each epoch.

    Ends when the run does, with its exit code (7 where its process is lost), or by q.
    """
    return int(_verb("watch").run(run, once=once))


@app.command(name="report")
@guarded
def report_(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders, or weights files in them.", **RUNS)],
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
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help=".net files; - for stdin to stdout.", **NETS)],
    check: Annotated[bool, typer.Option("--check", help="Change nothing; name what would change, exit 1 if any would.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change as a unified diff.")] = False,
    explicit: Annotated[bool, typer.Option("--explicit", help="Write out every value that comes from a default.")] = False,
) -> int:
    """Format .net files in place; comments are kept."""
    return int(_verb("fmt").run(files, check=check, diff=diff, explicit=explicit))


@app.command()
@guarded
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A .net file, a run folder, or a weights file.", **MEANINGS)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Likewise.", **MEANINGS)],
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
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="A layer, head, loss, optimizer, ...", **NAMES),
    ] = None,
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
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="STATE", help="A state dict as .safetensors; -o is then the weights file to write.")
    ] = None,
    json: Json = False,
) -> int:  # fmt: skip
    """Write a model of Keras or PyTorch as a .net, or with its weights as a weights file."""
    if weights is not None:
        return int(_verb("convert_weights").run(model, weights, output=output, input=input, head=head, json=json))
    return int(_verb("convert").run(model, output=output, input=input, head=head, json=json))


@app.command()
@guarded
def explain(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", help="Such as NS402.", **CODES)] = None,
    json: Json = False,
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
