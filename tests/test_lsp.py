"""`netspec lsp` as an editor meets it: a process, spoken to over its pipes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
from editor import Editor, Refused

from netspec.base.errors import UsageError
from netspec.frontend.explain import page
from netspec.frontend.text import source_of
from netspec.graph.check import diagnose
from netspec.ui.language.folders import texts_in

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
ERRORS = sorted((Path(__file__).parent / "errors").glob("*.net"))
TEXT = """netspec 1
let width = 64  # \U0001f40d a snake
def hidden(w, p = 25%) = affine(w)-bn-relu-dropout(p)
input 1x8x8
classes 10
net hidden(width)x2 -> hidden(w=32) -> affine -> softmax
"""
URI = "untitled:Untitled-1"


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    with Editor() as session:
        yield session


@pytest.fixture
def uri(editor: Editor) -> Iterator[str]:
    """TEXT, open in the editor."""
    editor.open(URI, TEXT)
    assert editor.findings(URI, 1) == []
    yield URI
    editor.tell("textDocument/didClose", textDocument={"uri": URI})
    assert editor.findings(URI) == []


def place(text: str, words: str) -> tuple[int, int]:
    """Line and column, in UTF-16, of the first of some words."""
    lines = text[: text.index(words)].split("\n")
    return len(lines) - 1, len(lines[-1].encode("utf-16-le")) // 2


def words_at(text: str, where: dict[str, Any]) -> str:
    """The words of a range, counted in UTF-16."""
    lines = text.replace("\r\n", "\n").split("\n")
    encoded = [line.encode("utf-16-le") for line in lines]
    first, last = where["start"], where["end"]
    if first["line"] == last["line"]:
        return encoded[first["line"]][2 * first["character"] : 2 * last["character"]].decode("utf-16-le")
    inner = [line.decode("utf-16-le") for line in encoded[first["line"] + 1 : last["line"]]]
    start = encoded[first["line"]][2 * first["character"] :].decode("utf-16-le")
    return "\n".join([start, *inner, encoded[last["line"]][: 2 * last["character"]].decode("utf-16-le")])


# sessions


def test_the_session_says_what_it_can_do(editor: Editor) -> None:
    able = editor.started["capabilities"]
    assert editor.started["serverInfo"]["name"] == "netspec"
    assert able["positionEncoding"] == "utf-16"
    assert able["textDocumentSync"]["change"] == 1
    assert able["textDocumentSync"]["openClose"] is True
    for provider in ("hover", "definition", "references", "documentSymbol", "documentFormatting"):
        assert able[f"{provider}Provider"], provider
    assert able["renameProvider"] == {"prepareProvider": True}
    assert "@" in able["completionProvider"]["triggerCharacters"]
    assert "(" in able["signatureHelpProvider"]["triggerCharacters"]


@pytest.mark.parametrize("polite", [True, False])
def test_it_ends_when_told_to(polite: bool) -> None:
    session = Editor()
    session.__enter__()
    if polite:
        assert session.ask("shutdown") is None
    session.tell("exit")
    assert session.wait() == (0 if polite else 1)
    session.stop()
    assert session.errors == b""


def test_the_option_that_editors_add_changes_nothing() -> None:
    with Editor(words=("-m", "netspec", "lsp", "--stdio")) as session:
        session.open(URI, TEXT)
        assert session.findings(URI) == []


def test_it_ends_when_the_editor_is_gone() -> None:
    session = Editor()
    session.__enter__()
    assert session.process.stdin is not None
    session.process.stdin.close()
    assert session.wait() == 1
    session.stop()
    assert session.errors == b""


def test_a_missing_library_is_told_with_its_extra() -> None:
    code = "import sys; sys.modules['pygls'] = None; sys.argv = ['netspec', 'lsp']; from netspec.ui.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: this needs pygls: pip install 'netspec[lsp]'\n"


SPY = """
import atexit, sys
atexit.register(lambda: print("numba" in sys.modules, file=sys.stderr))
sys.argv = ["netspec", "lsp"]
from netspec.ui.cli import main
main()
"""


def test_numba_stays_out_of_a_whole_session() -> None:
    session = Editor(words=("-c", SPY))
    with session:
        session.open(URI, TEXT)
        assert session.findings(URI) == []
        assert "10" in session.at("hover", URI, *place(TEXT, "affine ->"))["contents"]["value"]
        assert session.at("completion", URI, *place(TEXT, "hidden(width)"))["items"]
    assert session.errors.strip() == b"False"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_columns_count_what_was_agreed(encoding: str) -> None:
    text = 'netspec 1\ninput 3\ndata { path = "\U0001f40d\u00e9"; bogus = 3 }\nnet affine(2)\n'
    with Editor({"general": {"positionEncodings": [encoding]}}) as session:
        assert session.started["capabilities"]["positionEncoding"] == encoding
        session.open(URI, text)
        found = next(one for one in session.findings(URI) if one["code"] == "NS204")
        width = {"utf-8": 6, "utf-16": 3, "utf-32": 2}[encoding]
        assert found["range"]["start"] == {"line": 2, "character": len('data { path = "') + width + len('"; ')}
        hover = session.at("hover", URI, 2, found["range"]["start"]["character"] - len('"; ') - width - len('path = "'))
        assert hover["contents"]["value"].startswith("**path**")


def test_an_editor_that_knows_nothing_gets_plain_answers() -> None:
    with Editor({}) as session:
        session.open(URI, TEXT)
        items = session.at("completion", URI, *place(TEXT, "hidden(width)"))["items"]
        assert {item["insertTextFormat"] for item in items} == {1}
        assert not any("$" in item["textEdit"]["newText"] for item in items)
        flat = session.ask("textDocument/documentSymbol", textDocument={"uri": URI})
        assert {"location", "name", "kind"} <= set(flat[0])
        assert [one["name"] for one in flat if "containerName" not in one] == ["width", "hidden", "input", "classes", "net"]


# findings


@pytest.mark.parametrize("path", ERRORS, ids=lambda path: path.stem)
def test_findings_are_those_of_check(editor: Editor, path: Path) -> None:
    text = path.read_bytes().decode()
    address = path.resolve().as_uri()
    editor.open(address, text)
    found = editor.findings(address, 1)
    expected = diagnose(source_of(path))
    assert [one["code"] for one in found] == [one.code for one in expected]
    for told, one in zip(found, expected, strict=True):
        assert told["severity"] == (2 if one.severity == "warning" else 1)
        assert told["source"] == "netspec"
        assert one.source is not None
        assert one.span is not None
        words, where = words_at(text, told["range"]), f"{one.path}:{one.line}:{one.column}: "
        if one.source.path == str(path):
            assert words == one.source.words(one.span)
            assert told["message"].startswith(one.message)
        else:  # of a used file: at the `use` that brings it
            assert words.startswith('"')
            assert told["message"].startswith(where + one.message)
        assert all(note in told["message"] for note in one.notes)
        assert (one.help or "") in told["message"]
        assert Path(unquote(urlparse(told["codeDescription"]["href"]).path)).read_text() == page(one.code)
    editor.tell("textDocument/didClose", textDocument={"uri": address})
    assert editor.findings(address) == []


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_ranges_are_exact_after_wide_letters_tabs_and_any_line_end(editor: Editor, ends: str) -> None:
    text = 'netspec 1\n# \U0001f600\n\tlet a = "\U0001f40d"\tlet b = 1 // 0\nnet affine(b)\n'.replace("\n", ends)
    editor.open(URI, text)
    (found,) = editor.findings(URI, 1)
    assert found["range"]["start"] == {"line": 2, "character": len('\tlet a = "XX"\tlet b = 1 // ')}
    assert found["range"]["end"]["character"] == found["range"]["start"]["character"] + 1
    editor.tell("textDocument/didClose", textDocument={"uri": URI})
    editor.findings(URI)


def test_the_latest_text_is_checked_and_others_are_not(editor: Editor, uri: str) -> None:
    """A hundred changes, faster than a pause: one check, or a few on a slow machine, and the last is of the last text."""
    for version in range(2, 102):
        editor.change(uri, version, TEXT + "#" * version)
    editor.change(uri, 102, TEXT.replace("relu", "rleu"))
    (found,) = editor.findings(uri, 102)
    assert (found["code"], found["range"]["start"]["line"]) == ("NS201", 2)
    time.sleep(0.3)
    editor.at("hover", uri, 0, 0)
    left = [one for one in editor.told if one["method"] == "textDocument/publishDiagnostics"]
    assert left == []
    editor.change(uri, 103, TEXT)
    assert editor.findings(uri, 103) == []


def test_several_texts_are_kept_apart(editor: Editor, uri: str) -> None:
    editor.open("untitled:other", "netspec 1\ninput 3\nnet affin(2)")
    assert [one["code"] for one in editor.findings("untitled:other", 1)] == ["NS201"]
    assert editor.at("hover", uri, 5, 0)["contents"]["value"].startswith("**net**")
    editor.tell("textDocument/didClose", textDocument={"uri": "untitled:other"})
    assert editor.findings("untitled:other") == []
    with pytest.raises(Refused, match="is not open"):
        editor.at("hover", "untitled:other", 0, 0)


# requests


def test_hover_tells_shapes_where_the_cursor_is(editor: Editor, uri: str) -> None:
    found = editor.at("hover", uri, *place(TEXT, "affine(w)"))
    assert found["contents"]["kind"] == "markdown"
    assert "copies 1..3: 64, 32" in found["contents"]["value"]
    assert "| 1 | `1x8x8 -> 64` | 4,160 |" in found["contents"]["value"]
    assert words_at(TEXT, found["range"]) == "affine"
    assert editor.at("hover", uri, 1, len("let width = 64  # XX a")) is None


def test_hover_in_a_text_that_does_not_parse_tells_what_was_there(editor: Editor, uri: str) -> None:
    broken = TEXT.replace("input 1x8x8", "# longer\ninput 1x8x8").replace("-> affine ->", "-> affine( ->")
    editor.change(uri, 2, broken)
    assert [one["code"] for one in editor.findings(uri, 2)] == ["NS104"]
    found = editor.at("hover", uri, *place(broken, "hidden(w=32)"))
    assert "`64 -> 32`, 2,144 parameters" in found["contents"]["value"]
    assert words_at(broken, found["range"]) == "hidden"
    assert words_at(broken, editor.at("definition", uri, *place(broken, "hidden(w=32)"))["range"]) == "hidden"


def test_completion_in_an_unfinished_text(editor: Editor, uri: str) -> None:
    text = TEXT.replace("-> affine -> softmax", "-> conv(8, ini")
    editor.change(uri, 2, text)
    line, column = place(text, "ini")
    items = editor.at("completion", uri, line, column + 3)["items"]
    item = next(one for one in items if one["label"] == "init")
    assert item["textEdit"]["newText"] == "init="
    assert words_at(text, item["textEdit"]["range"]) == "ini"
    assert "initial values of W" in item["documentation"]["value"]
    help_ = editor.at("signatureHelp", uri, line, column)
    assert help_["signatures"][0]["label"].startswith("conv(filters = 32, kernel = 3")


def test_definition_references_and_rename(editor: Editor, uri: str) -> None:
    line, column = place(TEXT, "(width)")
    there = editor.at("definition", uri, line, column + 1)
    assert (there["uri"], there["range"]["start"]) == (uri, {"line": 1, "character": 4})
    found = editor.at("references", uri, line, column + 1, context={"includeDeclaration": True})
    assert [one["range"]["start"]["line"] for one in found] == [1, 5]
    assert len(editor.at("references", uri, line, column + 1, context={"includeDeclaration": False})) == 1
    ready = editor.at("prepareRename", uri, line, column + 1)
    assert (ready["placeholder"], words_at(TEXT, ready["range"])) == ("width", "width")
    edits = editor.at("rename", uri, line, column + 1, newName="units")["changes"][uri]
    assert [(words_at(TEXT, edit["range"]), edit["newText"]) for edit in edits] == [("width", "units")] * 2
    with pytest.raises(Refused, match="`relu` is a layer; choose another name") as refused:
        editor.at("rename", uri, line, column + 1, newName="relu")
    assert refused.value.code == -32803
    with pytest.raises(Refused, match="`bn` is a name of the catalogue"):
        editor.at("prepareRename", uri, *place(TEXT, "bn"))


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_formatting_is_that_of_fmt(editor: Editor, uri: str, ends: str) -> None:
    text = TEXT.replace(" = ", "=").replace("\n", ends)
    editor.change(uri, 2, text)
    (edit,) = editor.ask("textDocument/formatting", textDocument={"uri": uri}, options={"tabSize": 4, "insertSpaces": True})
    assert edit["newText"] == TEXT.replace("\n", ends)
    assert edit["range"] == {"start": {"line": 0, "character": 0}, "end": {"line": 6, "character": 0}}
    editor.change(uri, 3, edit["newText"])
    options = {"tabSize": 4, "insertSpaces": True}
    assert editor.ask("textDocument/formatting", textDocument={"uri": uri}, options=options) == []
    editor.change(uri, 4, "net affine(")
    assert editor.ask("textDocument/formatting", textDocument={"uri": uri}, options=options) is None


def test_the_outline_is_a_tree(editor: Editor, uri: str) -> None:
    found = editor.ask("textDocument/documentSymbol", textDocument={"uri": uri})
    assert [(one["name"], len(one["children"])) for one in found] == [
        ("width", 0), ("hidden", 1), ("input", 0), ("classes", 0), ("net", 4),
    ]  # fmt: skip
    for one in found:
        for inner in (one, *one["children"]):
            first, last = inner["range"]["start"], inner["range"]["end"]
            assert (first["line"], first["character"]) <= (
                inner["selectionRange"]["start"]["line"], inner["selectionRange"]["start"]["character"],
            ) <= (last["line"], last["character"])  # fmt: skip


def test_use_leads_to_the_other_file(editor: Editor, tmp_path: Path) -> None:
    blocks, main = tmp_path / "my blocks.net", tmp_path / "main.net"
    blocks.write_text("netspec 1\ndef unit(c) = conv(c)-relu\n")
    text = 'netspec 1\nuse "my blocks.net"\ninput 1x8x8\nnet unit(3) -> affine(2)\n'
    address = main.as_uri()
    editor.open(address, text)
    assert editor.findings(address, 1) == []
    assert "`1x8x8 -> 3x8x8`, 30 parameters" in editor.at("hover", address, *place(text, "unit(3)"))["contents"]["value"]
    for words in ('"my', "unit(3)"):
        there = editor.at("definition", address, *place(text, words))
        assert Path(unquote(urlparse(there["uri"]).path)) == blocks
    assert there["range"]["start"] == {"line": 1, "character": 4}
    editor.open(blocks.as_uri(), "netspec 1\n\ndef unit(c) = conv(c)-relu\n")  # not saved yet
    assert editor.at("definition", address, *place(text, "unit(3)"))["range"]["start"] == {"line": 2, "character": 4}
    edits = editor.at("rename", address, *place(text, "unit(3)"), newName="block")["changes"]
    assert {uri: [(one["range"]["start"]["line"], one["newText"]) for one in found] for uri, found in edits.items()} == {
        address: [(3, "block")], blocks.as_uri(): [(2, "block")],
    }  # fmt: skip
    blocks.write_text("netspec 1\ndef unit(c) = bogus(c)\n")
    editor.tell("textDocument/didSave", textDocument={"uri": blocks.as_uri()})
    found = next(found for found in iter(lambda: editor.findings(address), None) if found)
    assert found[0]["message"].startswith(f"{blocks}:2:15: unknown layer `bogus`")
    assert words_at(text, found[0]["range"]) == '"my blocks.net"'


# a rename across files

LIBRARY = "netspec 1\nlet size = 3\ndef unit(c, k = size) = conv(c, kernel=k)-relu @out\ndef pair(c) = unit(c)-unit(c, k=5)\n"
USER = (
    'netspec 1\nuse "blocks.net"\nlet wide = 8\ndef mine(w) = unit(w)-bn\ninput 1x8x8\nnet unit(wide, k=3) @here -> mine(4) -> affine(2)\n'
)
OTHERS = {
    "deep/user.net": ('netspec 1\nuse "../blocks.net"\ninput 1x8x8\nnet unit(3) -> affine(2)\n', 1),
    "second.net": ('netspec 1\nuse "middle.net"\ninput 1x8x8\nnet unit(c=3)-twice -> affine(2)\n', 1),
    "middle.net": ('netspec 1\nuse "blocks.net"\ndef twice = unit(3)-unit(3)\n', 2),
    "apart.net": ("netspec 1\ninput 1x8x8\ndef unit(c) = conv(c)\nnet unit(3) -> affine(2)\n", 0),
    ".hidden/user.net": ('netspec 1\nuse "blocks.net"\nnet unit(3)\n', 0),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A library, a text that uses it, and others around them."""
    files = {"blocks.net": LIBRARY, "main.net": USER, **{name: text for name, (text, _) in OTHERS.items()}}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(text.encode())
    return tmp_path


def applied(folder: Path, edits: dict[str, list[dict[str, Any]]]) -> dict[str, int]:
    """Writes the edits into the files, and gives their number by file."""
    counts = {}
    for uri, found in edits.items():
        path = Path(unquote(urlparse(uri).path))
        lines = path.read_text().split("\n")
        for one in sorted(found, key=lambda one: (one["range"]["start"]["line"], -one["range"]["start"]["character"])):
            start, end = one["range"]["start"], one["range"]["end"]
            line = lines[start["line"]]
            lines[start["line"]] = line[: start["character"]] + one["newText"] + line[end["character"] :]
        path.write_text("\n".join(lines))
        counts[str(path.relative_to(folder))] = len(found)
    return counts


@pytest.mark.parametrize("opened", ["blocks.net", "main.net"])
@pytest.mark.parametrize("workspace", [True, False])
def test_a_def_is_renamed_in_every_text_that_uses_it(project: Path, opened: str, workspace: bool) -> None:
    before = {name: [one.code for one in diagnose(source_of(project / name))] for name in ("main.net", "second.net")}
    text, uri = (project / opened).read_text(), (project / opened).as_uri()
    with Editor(root=project.as_uri() if workspace else None) as session:
        session.open(uri, text)
        assert session.at("prepareRename", uri, *place(text, "unit("))["placeholder"] == "unit"
        edits = session.at("rename", uri, *place(text, "unit("), newName="fresh")["changes"]
    counts = applied(project, edits)
    assert counts == {"blocks.net": 3, "main.net": 2, **{name: count for name, (_, count) in OTHERS.items() if count}}
    assert {name: [one.code for one in diagnose(source_of(project / name))] for name in before} == before
    assert "unit" not in (project / "second.net").read_text()
    assert "unit" in (project / "apart.net").read_text()


def test_a_parameter_is_renamed_where_other_texts_give_it_by_its_key(project: Path) -> None:
    for opened, words in (("blocks.net", "k = size"), ("main.net", "k=3")):
        uri, text = (project / opened).as_uri(), (project / opened).read_text()
        with Editor() as session:
            session.open(uri, text)
            edits = session.at("rename", uri, *place(text, words), newName="side")["changes"]
        assert {Path(uri).name: len(found) for uri, found in edits.items()} == {"blocks.net": 3, "main.net": 1}
    assert applied(project, edits)
    assert [one.code for one in diagnose(source_of(project / "main.net"))] == []


def test_texts_that_are_open_count_as_they_are_in_the_editor(project: Path) -> None:
    unsaved = USER.replace("mine(w) = unit(w)", "mine(w) = pair(w)")
    with Editor() as session:
        library, main = (project / "blocks.net").as_uri(), (project / "main.net").as_uri()
        session.open(library, "\n" + LIBRARY)
        session.open(main, unsaved)
        edits = session.at("rename", library, *place("\n" + LIBRARY, "unit("), newName="fresh")["changes"]
        assert [one["range"]["start"]["line"] for one in edits[library]] == [3, 4, 4]
        assert [words_at(unsaved, one["range"]) for one in edits[main]] == ["unit"]
        session.change(main, 2, unsaved.replace("net unit", "net [unit"))
        with pytest.raises(Refused, match=r"main\.net uses `unit` and has an error of syntax"):
            session.at("rename", library, *place("\n" + LIBRARY, "unit("), newName="fresh")


TAKEN = {
    ("main.net", "wide = 8", "pair"): r"`pair` is a def of .*blocks\.net, which this text uses",
    ("main.net", "mine(w)", "unit"): r"`unit` is a def of .*blocks\.net",
    ("main.net", "w) = unit", "unit"): r"`unit` is a def of .*blocks\.net",
    ("main.net", "here ->", "pair"): r"`pair` is a def of .*blocks\.net",
    ("main.net", "wide = 8", "mine"): r"`mine` already means something in this text \(line 4\)",
    ("main.net", "wide = 8", "here"): r"`here` already means something in this text",
    ("main.net", "mine(w)", "wide"): r"`wide` already means something",
    ("main.net", "mine(w)", "conv"): "`conv` is a layer",
    ("main.net", "unit(wide", "wide"): r"`wide` already means something in this text",
    ("main.net", "unit(wide", "size"): r"`size` already means something in .*blocks\.net \(line 2\)",
    ("blocks.net", "unit(c, k", "pair"): r"`pair` already means something in this text",
    ("blocks.net", "unit(c, k", "mine"): r"`mine` already means something in .*main\.net \(line 4\)",
    ("blocks.net", "unit(c, k", "wide"): r"`wide` already means something in .*main\.net \(line 3\)",
    ("blocks.net", "pair(c)", "twice"): r"`twice` (already means something in .*middle|is a def of .*middle)",
    ("blocks.net", "k = size", "c"): r"`c` already means something in this text",
}


@pytest.mark.parametrize(("opened", "words", "name"), TAKEN)
def test_a_name_that_is_taken_in_any_of_the_texts_is_refused(project: Path, opened: str, words: str, name: str) -> None:
    uri, text = (project / opened).as_uri(), (project / opened).read_text()
    with Editor(root=project.as_uri()) as session:
        session.open(uri, text)
        with pytest.raises(Refused, match=TAKEN[opened, words, name]) as refused:
            session.at("rename", uri, *place(text, words), newName=name)
        assert refused.value.code == -32803
        assert session.at("rename", uri, *place(text, words), newName="fresh")["changes"]


def test_a_workspace_with_too_many_files_is_told(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.net").touch()
    assert [path.name for path in texts_in([tmp_path, tmp_path / "absent"], 4)] == ["0.net", "1.net", "2.net", "3.net"]
    with pytest.raises(UsageError, match="more than 3 files lie in the workspace"):
        texts_in([tmp_path], 3)


# nothing that is typed ends the session

PIECES = ["(", ")", "[", "]", "{", "}", "x4", "x(", "->", "-", "|", "@", "=", ";", "#", '"', "let ", "def ", "net ", "use ", "relu", "1.5",
          "25%", "3x5", "\U0001f40d", "\u2028", "\x0c", "\t", "\r", "\r\n", "\ud800", "tied", "\u00e9", "\0"]  # fmt: skip


def mutated(draw: random.Random, text: str) -> str:
    """A text with a few places changed."""
    for _ in range(draw.randint(1, 5)):
        at, kind = draw.randrange(len(text) + 1), draw.random()
        if kind < 0.45:
            text = text[:at] + draw.choice(PIECES) + text[at:]
        elif kind < 0.8:
            text = text[:at] + text[at + draw.randint(1, 12) :]
        else:
            start = draw.randrange(len(text) + 1)
            text = text[:at] + text[start : start + 20] + text[at:]
    return text


def test_nothing_typed_ends_the_session(editor: Editor, uri: str) -> None:
    draw = random.Random(4)
    texts = [path.read_text() for path in MODELS] + [TEXT]
    for version in range(2, 152):
        text = mutated(draw, draw.choice(texts))
        editor.change(uri, version, text)
        line = draw.randrange(text.count("\n") + 3)
        column = draw.randrange(90)
        for method in ("hover", "completion", "definition", "signatureHelp"):
            editor.at(method, uri, line, column)
        editor.at("references", uri, line, column, context={"includeDeclaration": True})
        for method, more in (("prepareRename", {}), ("rename", {"newName": draw.choice(["fresh", "relu", "3", "\u00e9", "width"])})):
            try:
                editor.at(method, uri, line, column, **more)
            except Refused as answer:
                assert answer.code == -32803  # noqa: PT017  a refusal in words, and no fault
        editor.ask("textDocument/documentSymbol", textDocument={"uri": uri})
        editor.ask("textDocument/formatting", textDocument={"uri": uri}, options={"tabSize": 4, "insertSpaces": True})
        if version % 10 == 0:
            editor.findings(uri, version)
    editor.change(uri, 1000, TEXT)
    assert editor.findings(uri, 1000) == []
    assert [one for one in editor.told if one["method"] in ("window/showMessage", "window/logMessage")] == []


def test_sizes_beyond_the_limits_are_told(editor: Editor, uri: str) -> None:
    for version, (text, code) in enumerate([("#" * 70_000, "NS801"), ("[" * 3000, "NS803"), ("relu-" * 12_000 + "relu", "NS802")], 2):
        editor.change(uri, version, text)
        assert [one["code"] for one in editor.findings(uri, version)] == [code]
        editor.at("hover", uri, 0, 50)
        editor.at("completion", uri, 0, 50)


def test_messages_that_are_none_are_survived(editor: Editor, uri: str) -> None:
    with pytest.raises(Refused):
        editor.ask("textDocument/nothing", at=1)
    editor.send({"id": "odd", "method": "textDocument/hover", "params": {"nothing": 1}})
    editor.send({"id": 12345})
    editor.tell("$/anything", value=3)
    editor.tell("textDocument/didChange", textDocument={"uri": "file:///never/opened.net", "version": 1}, contentChanges=[{"text": ""}])
    assert editor.at("hover", uri, 0, 0)["contents"]["value"].startswith("**netspec**")
    editor.told.clear()
