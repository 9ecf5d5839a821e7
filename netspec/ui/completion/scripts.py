"""What the shells run to complete, and where they look for it. All three ask `netspec` itself, by environment variables, with the line as
far as it is typed; it answers a candidate a line, with what it is behind a tab."""

from __future__ import annotations

import os
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.save.atomic import write_atomic
from netspec.ui.screen import say

ASK = "_NETSPEC_COMPLETE=1 _TYPER_COMPLETE_ARGS"

BASH = f"""\
# completion of netspec in bash
_netspec() {{
    local line="${{COMP_LINE:0:COMP_POINT}}" cur="${{COMP_WORDS[COMP_CWORD]}}" value help
    local word="${{line##*[[:space:]]}}"
    # bash takes a word apart at `=` and `:`; what stands before the piece is not written again
    [[ $cur == [=:] ]] && cur=""
    local before="${{word%"$cur"}}"
    [[ $word == *"$cur" ]] || before=""
    COMPREPLY=()
    while IFS=$'\\t' read -r value help; do
        [[ $value == */ || $value == *= ]] && compopt -o nospace 2>/dev/null
        [[ -n $value ]] && COMPREPLY+=("$(printf %q "${{value#"$before"}}")")
    done < <({ASK}="$line" netspec 2>/dev/null)
}}
complete -o bashdefault -o default -F _netspec netspec
"""
ZSH = f"""\
#compdef netspec
# completion of netspec in zsh
_netspec() {{
    local value help
    local -a closed open closed_told open_told
    while IFS=$'\\t' read -r value help; do
        [[ -z $value ]] && continue
        if [[ $value == */ || $value == *= ]]; then
            open+=("$value"); open_told+=("$value${{help:+  -- $help}}")
        else
            closed+=("$value"); closed_told+=("$value${{help:+  -- $help}}")
        fi
    done < <({ASK}="${{(j: :)words[1,CURRENT]}}" netspec 2>/dev/null)
    if (( ! $#closed && ! $#open )); then
        _files
        return
    fi
    (( $#closed )) && compadd -l -d closed_told -a closed
    (( $#open )) && compadd -S '' -l -d open_told -a open
    return 0
}}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _netspec "$@"
else
    compdef _netspec netspec
fi
"""
FISH = f"""\
# completion of netspec in fish
function __netspec_complete
    set -l found (env {ASK}=(commandline -cp) netspec 2>/dev/null | string match -r '.+')
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c netspec -f -a '(__netspec_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}
ZSH_LINE = "fpath+=~/.zfunc; autoload -Uz compinit; compinit"


def shell_of_caller() -> str:
    """The shell that netspec was called from, else the user's own. Raises UsageError where it is none of the three."""
    for name in (_parent(), os.path.basename(os.environ.get("SHELL", ""))):
        if name in SCRIPTS:
            return name
    raise UsageError("which shell is not known here: give bash, zsh or fish, as in --show-completion zsh")


def _parent() -> str:
    try:
        return Path(f"/proc/{os.getppid()}/comm").read_text().strip().removeprefix("-")
    except OSError:
        return ""


def show(shell: str) -> int:
    """Prints the script of a shell."""
    print(SCRIPTS[shell], end="")
    return 0


def install(shell: str) -> int:
    """Puts the script where the shell finds it, and says so. Raises SaveError."""
    home = Path.home()
    place = {
        "bash": Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share") / "bash-completion/completions/netspec",
        "zsh": home / ".zfunc/_netspec",
        "fish": Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "fish/completions/netspec.fish",
    }[shell]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{place.parent}: cannot be made: {error.strerror}") from None
    write_atomic(place, SCRIPTS[shell].encode())
    say(place)
    # bash-completion finds the file by itself, but not every bash has it; zsh is told where to look once
    lines = {"bash": (home / ".bashrc", f"[ -f '{place}' ] && . '{place}'"), "zsh": (home / ".zshrc", ZSH_LINE)}
    if shell in lines:
        _add_line(*lines[shell])
    print("Completion is there in every new shell.")
    return 0


def _add_line(file: Path, line: str) -> None:
    """Adds a line to a file of the user's, unless it is there."""
    try:
        before = file.read_text(encoding="utf-8", errors="surrogateescape") if file.exists() else ""
        if line in before.splitlines():
            return
        gap = "" if not before or before.endswith("\n") else "\n"
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{gap}{line}\n")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}; add this line by hand: {line}") from None
    say(f"{file}: {line}")
