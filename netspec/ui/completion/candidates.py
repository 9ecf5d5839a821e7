"""What can stand at a place of the command line that is no verb and no option, and needs no catalogue, for somebody waits for it at a key:
files, runs, codes, words. Nothing here raises: a shell that is completing has no place for an error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice

from netspec.frontend.explain import codes, page
from netspec.save.run_files import FILES, RUNS

Candidate = tuple[str, str]
"""What is written, and what it is; a `/` or `=` at the end says that more follows."""
MOST = 1000


def net_files(incomplete: str) -> list[Candidate]:
    """Specs, and folders that may hold some."""
    return [(path, "") for path in _paths(incomplete, lambda path: path.endswith((".net", "/")))]


def run_folders(incomplete: str) -> list[Candidate]:
    """Run folders, weights in them, and folders on the way; those of runs/ before anything is typed."""
    inside = _is_run(incomplete.partition("/weights/")[0].removesuffix("/")) or _is_run(incomplete.rpartition("/")[0])

    def leads(path: str) -> bool:
        return path.endswith(("/weights/", ".safetensors") if inside else ("/", ".safetensors"))

    found = [] if incomplete else [path for path in _paths(f"{RUNS}/", leads) if path.endswith("/")]
    return [(path.removesuffix("/") if _is_run(path) else path, "") for path in found or _paths(incomplete, leads)]


def nets_and_runs(incomplete: str) -> list[Candidate]:
    """What has a meaning: specs, and runs."""
    runs = run_folders(incomplete)
    return sorted({*runs, *(one for one in net_files(incomplete) if (one[0].removesuffix("/"), "") not in runs)})


def launched(incomplete: str) -> list[Candidate]:
    """What `launch` starts."""
    return [("train", "Train a net on its data, into a run folder.")]


def run_parents(incomplete: str) -> list[Candidate]:
    """Folders that may hold runs."""
    return [(path, "") for path in _paths(incomplete, lambda path: path.endswith("/") and not _is_run(path))]


def _is_run(path: str) -> bool:
    return bool(path) and any(os.path.isfile(os.path.join(path, name)) for name in FILES)


def _paths(incomplete: str, kept: Callable[[str], bool]) -> list[str]:
    """Names that begin so, a `/` behind folders; where a single folder does that is no run, what is in it too, for it is not yet meant."""
    found = list(islice(filter(kept, _named(incomplete)), MOST))
    if len(found) == 1 and found[0].endswith("/") and not _is_run(found[0]):
        found += islice(filter(kept, _named(found[0])), MOST)
    return sorted(found)


def _named(incomplete: str) -> Iterator[str]:
    folder, slash, start = incomplete.rpartition("/")
    place = os.path.expanduser(f"{folder}{slash}") or "."
    try:
        with os.scandir(place) as inside:
            for one in inside:
                if one.name.startswith(start) and (start.startswith(".") or not one.name.startswith(".")):
                    yield f"{folder}{slash}{one.name}{'/' if one.is_dir() else ''}"
    except OSError:
        return


def diagnostics(incomplete: str) -> list[Candidate]:
    """Codes with the titles of their pages; in small letters too."""
    found = [code for code in codes() if code.startswith(incomplete.upper())]
    typed = {code: incomplete + code[len(incomplete) :] for code in found}
    return [(typed[code], (page(code) or "").split("\n", 1)[0].partition(": ")[2]) for code in found]


def tools(incomplete: str) -> list[Candidate]:
    """What --log takes."""
    return [("tensorboard", "event files in the run folder"), ("mlflow", "a store on this machine"), ("wandb", "offline")]
