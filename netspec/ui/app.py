"""The command line without its verbs: how words are read, completed, and told to be wrong."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from netspec.base.errors import NetspecError
from netspec.base.launched import encoded
from netspec.base.waiting import tell_waiting
from netspec.ui.guard import guarded, report
from netspec.ui.options import load
from netspec.ui.screen import shown_meanwhile


class _Group(TyperGroup):
    """The verbs; a command line that cannot be read is told in the words of every other error."""

    def main(self, *args: Any, **more: Any) -> Any:
        if not more.get("standalone_mode", True):
            return super().main(*args, **more)
        if COMPLETE in os.environ:
            load("completion.answer").print_answer(self, COMPLETE)
            sys.exit(0)
        try:
            code = super().main(*args, **{**more, "standalone_mode": False})
        except Exception as error:
            if not hasattr(error, "show"):
                raise
            told = io.StringIO()
            error.show(told)
            print(told.getvalue().replace("\nError: ", "\nerror: ").replace("Value error, ", ""), end="", file=sys.stderr)
            code = getattr(error, "exit_code", 2)
        sys.exit(encoded(code or 0))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The shell that completion is for may be left out."""
        if len(args) == 1 and args[0] in ("--install-completion", "--show-completion"):
            try:
                args = [*args, load("completion.scripts").shell_of_caller()]
            except NetspecError as error:
                raise typer.Exit(report(error)) from None
        return super().parse_args(ctx, args)


COMPLETE = "_NETSPEC_COMPLETE"
"""Set by a shell that is completing."""

app = typer.Typer(
    cls=_Group, help="A compiler for declared neural networks: a .net file in, a trained model out.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _for_shell(what: str) -> Callable[[str | None], None]:
    """`show` or `install`, for the shell that is named."""

    @guarded
    def called(shell: str) -> int:
        return int(getattr(load("completion.scripts"), what)(shell))

    def callback(shell: str | None) -> None:
        if shell is not None:
            called(shell)

    return callback


Shell = Literal["bash", "zsh", "fish"]


def _print_version(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(load("verbs.version").run())


@app.callback()
def top(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")] = False,
    install_completion: Annotated[Shell | None, typer.Option(
        "--install-completion", metavar="[SHELL]", callback=_for_shell("install"), is_eager=True,
        help="Let bash, zsh or fish complete netspec's words; the calling shell if not given.",
    )] = None,
    show_completion: Annotated[Shell | None, typer.Option(
        "--show-completion", metavar="[SHELL]", callback=_for_shell("show"), is_eager=True, help="Print the script that does."
    )] = None,
) -> None:  # fmt: skip
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        tell_waiting(shown_meanwhile)
