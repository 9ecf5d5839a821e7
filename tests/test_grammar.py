"""The colours of editors: the TextMate grammar against the language's own reading of texts, and the extension that brings it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from textmate import TextMate

from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.parse import parse
from netspec.frontend.tokens import ENTRY_WORDS, tokenize
from netspec.frontend.used import nodes_in

ROOT = Path(__file__).parents[1]
EXTENSION = ROOT / "grammar" / "vscode"
GRAMMAR = json.loads((EXTENSION / "syntaxes" / "netspec.tmLanguage.json").read_text())
EVERYTHING = """# a text with every form
netspec 1; use "blocks.net"
let width = 100 let act = relu  # two in a line
let rule = sgd(lr=5e-3, momentum=0.9); let n = (width - 1) // 3 * 2 mod 7 + max(1, width)
def hidden(w, p = 25%, a = act) = affine(w, init=normal(std = 0.1))-bn-a-dropout(p)
data {
    source = images; path = "a \\"quoted\\" # path\\\\"   # a comment
    input = 3; size = 3x32; split = 80% / 10% / 10%; transforms = flip, crop(4)
}
defaults { affine.width = 64; conv.kernel = 3x5 }
search { width = choice(1, 2); train.lr = log(1e-4, 1e-1) }
input 3x32x32 classes 10
seed 7
net [conv(16, bias=false)-bn-relu]x4 tied -> [[conv(c)]\u00d72 -> pool]x(c: 16, 32) \u2192 hidden(width)x (n)
    -> add(conv(16)-add(relu | id) | id) @stem -> concat(id | @stem | mul(tanh | sigmoid))-res[conv(3)-relu](proj)
    -> affine(100) @enc -> x4y-affine(tie = enc.T)
    -> affine -> softmax
train { optimizer = adam(lr=1e-3); schedule = warmup(5ep, then=cosine(20ep)); early_stop = 500it; fuse = true }
"""
TEXTS = {path.stem: path.read_text() for path in sorted((ROOT / "models").glob("*.net"))} | {
    "everything": EVERYTHING,
    "bare": "[affine-bn-relu-dropout(25%)]x4 -> affine -> softmax  # alone",
    "one_line": "netspec 1 let a = 3 def f(w) = affine(w)-relu input 5 classes 3 net [f(a)]x2 -> affine -> softmax seed 3",
}
EXPECTED = {
    "NUMBER": "constant.numeric", "PERCENT": "constant.numeric", "DURATION": "constant.numeric", "SHAPE": "constant.numeric",
    "TRUE": "constant.language", "FALSE": "constant.language", "STRING": "string.quoted.double", "ARROW": "keyword.operator.arrow",
    "REPEAT": "keyword.operator.repeat", "TIED": "storage.modifier", "MINUS": "keyword.operator.arithmetic",
    "PLUS": "keyword.operator.arithmetic", "STAR": "keyword.operator.arithmetic", "SLASH": "keyword.operator.arithmetic",
    "FLOOR_DIVIDE": "keyword.operator.arithmetic", "MOD": "keyword.operator.arithmetic", "VBAR": "keyword.operator.branch",
    "EQUAL": "keyword.operator.assignment", "LSQB": "punctuation", "RSQB": "punctuation", "LBRACE": "punctuation", "RBRACE": "punctuation",
    "LPAR": "punctuation", "RPAR": "punctuation", "BRANCH_OPEN": "punctuation", "COMMA": "punctuation", "SEMICOLON": "punctuation",
    "AT": "punctuation.definition.label",
} | {word.upper(): "keyword.control" for word in ENTRY_WORDS}  # fmt: skip


def scopes_of_names(file: syntax.File) -> dict[int, str]:
    """For the names of a text, by where they begin, the scope that their meaning asks for."""
    found: dict[int, str] = {}
    for node in nodes_in(file):
        match node:
            case syntax.Layer() | syntax.Block() | syntax.Branches() | syntax.CallValue():
                found[node.name.span.start] = "support.function"
            case syntax.Name():
                found[node.span.start] = "variable.other"
            case syntax.Argument(key=syntax.Word() as key):
                found[key.span.start] = "variable.parameter"
            case syntax.Let():
                found[node.name.span.start] = "variable.other.constant"
            case syntax.Def():
                found[node.name.span.start] = "entity.name.function"
            case syntax.Pair():
                found[node.key_span.start] = "variable.other.property"
            case syntax.Reference():
                found[node.name.span.start] = "entity.name.label"
            case syntax.Run(label=syntax.Word() as label):
                found[label.span.start] = "entity.name.label"
    return found


def mistakes(text: str, grammar: TextMate) -> list[str]:
    """The words whose scope is another than the language's reading asks for."""
    source = Source(text)
    scopes, words, names = grammar.scope_at(text), tokenize(source), scopes_of_names(parse(source))
    found = []
    for token in words.tokens:
        start, end = token.start_pos or 0, token.end_pos or 0
        expected = names.get(start) if token.type == "NAME" else EXPECTED.get(token.type)
        wrong = {scope for scope in scopes[start:end] if not scope.startswith(expected or "")}
        if expected is not None and (wrong or "" in scopes[start:end]):
            found.append(f"{token} ({token.type} at {source.position(start)}): {scopes[start]}, not {expected}")
    for at, comment in words.comments:
        if {scope.split(".")[0] for scope in scopes[at : at + len(comment)]} != {"comment"}:
            found.append(f"comment at {source.position(at)}")
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_words_have_the_scopes_that_the_language_gives_them(name: str) -> None:
    assert mistakes(TEXTS[name], TextMate(GRAMMAR)) == []


def test_the_texts_use_every_kind_of_word() -> None:
    used = {token.type for text in TEXTS.values() for token in tokenize(Source(text)).tokens}
    assert set(EXPECTED) - used == {"OUTPUTS"}
    kinds = {scope for text in TEXTS.values() for scope in scopes_of_names(parse(Source(text))).values()}
    assert kinds == {
        "support.function", "variable.other", "variable.parameter", "variable.other.constant", "entity.name.function",
        "variable.other.property", "entity.name.label",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "word"),
    [("comment", "comment"), ("literal", "25%"), ("layer", "softmax"), ("key", "source"), ("repeat", "x"), ("point", "stem")],
)
def test_a_grammar_without_a_rule_is_noticed(rule: str, word: str) -> None:
    broken = json.loads(json.dumps(GRAMMAR))
    broken["repository"][rule] = {"match": r"(?!)", "name": "never"}
    assert any(word in mistake for mistake in mistakes(EVERYTHING, TextMate(broken)))


def test_entry_words_are_the_languages() -> None:
    text = json.dumps(GRAMMAR)
    lists = [set(one.split("|")) for one in re.findall(r"\(\?:((?:[a-z]+\|){12}[a-z]+)\)", text)]
    assert len(lists) == 3
    assert all(one == ENTRY_WORDS for one in lists)


def test_patterns_are_read_alike_by_editors_and_here() -> None:
    """Nothing that Oniguruma and Python's re read differently: possessive and atomic groups, \\h, \\G, classes in classes."""
    patterns = re.findall(r'"(?:match|begin|end)": ("(?:[^"\\]|\\.)*")', (EXTENSION / "syntaxes" / "netspec.tmLanguage.json").read_text())
    assert len(patterns) > 20
    for pattern in map(json.loads, patterns):
        re.compile(pattern)
        assert not re.search(r"\\[hHGKRXpP]|\(\?>|[*+?]\+|\[\[|&&|\(\?<[a-z]", pattern), pattern


def test_the_extension_names_files_that_are_there() -> None:
    package = json.loads((EXTENSION / "package.json").read_text())
    (language,) = package["contributes"]["languages"]
    (grammar,) = package["contributes"]["grammars"]
    assert grammar["scopeName"] == GRAMMAR["scopeName"]
    assert grammar["language"] == language["id"]
    assert language["extensions"] == [".net"]
    for path in (package["main"], language["configuration"], grammar["path"]):
        assert (EXTENSION / path).is_file(), path
    json.loads((EXTENSION / language["configuration"]).read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "grammar" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert package["version"] == project["project"]["version"]
    assert [path.name for path in ROOT.glob("grammar/**/*.tmLanguage.json")] == ["netspec.tmLanguage.json"]


STAND_INS = """
const Module = require("module");
const told = [];
class LanguageClient {
  constructor(...given) { told.push(given); }
  async start() { told.push("started"); }
  async stop() { told.push("stopped"); }
}
const others = {
  "vscode": { workspace: { getConfiguration: () => ({ get: (key, usual) => usual }) } },
  "vscode-languageclient/node": { LanguageClient },
};
const load = Module._load;
Module._load = (name, ...rest) => others[name] || load(name, ...rest);
const extension = require(process.argv[1]);
const context = { subscriptions: [] };
const tell = () => console.log(JSON.stringify([told, context.subscriptions.length]));
extension.activate(context).then(extension.deactivate).then(tell);
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which runs the extension, is not installed")
def test_the_extension_starts_the_server_and_stops_it() -> None:
    done = subprocess.run(["node", "-e", STAND_INS, str(EXTENSION / "extension.js")], capture_output=True, text=True, check=True)
    (client, started, stopped), subscriptions = json.loads(done.stdout)
    assert client == ["netspec", "netspec", {"command": "netspec", "args": ["lsp"]}, {"documentSelector": [{"language": "netspec"}]}]
    assert (started, stopped, subscriptions) == ("started", "stopped", 1)
