"""Programs drawn from the grammar, as trees, and texts of them with white space and comments in any place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st
from rebuilt import canonical

from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.tokens import tokenize
from netspec.frontend.used import nodes_in

NAMES = st.sampled_from(["affine", "bn", "relu", "w", "x", "x4", "tied_", "block", "a_1", "h", "ep", "T"])
WORDS = NAMES.map(syntax.Word)
LITERALS = st.one_of(
    st.integers(0, 10**6).map(lambda n: syntax.Literal("number", str(n))),
    st.sampled_from(["0.5", "1e2", "1e-3", "2.5E+3"]).map(lambda text: syntax.Literal("number", text)),
    st.sampled_from(["25%", "0.5%"]).map(lambda text: syntax.Literal("percent", text)),
    st.sampled_from(["20ep", "500it"]).map(lambda text: syntax.Literal("duration", text)),
    st.sampled_from(["3x5", "1x8x8"]).map(lambda text: syntax.Literal("shape", text)),
    st.sampled_from(['"a b"', '""', '"\\""', '"# ] }"']).map(lambda text: syntax.Literal("string", text)),
    st.sampled_from(["true", "false"]).map(lambda text: syntax.Literal("boolean", text)),
)
ATOMS = st.deferred(
    lambda: st.one_of(
        LITERALS,
        st.builds(syntax.Name, NAMES, st.none() | st.just("T")),
        st.builds(syntax.CallValue, WORDS, ARGUMENTS),
        st.builds(syntax.Group, SUMS),
    )
)
SIGNED = ATOMS | ATOMS.map(syntax.Negative)


def arithmetic(operands: st.SearchStrategy, operators: list[str]) -> st.SearchStrategy:
    rest = st.lists(st.tuples(st.sampled_from(operators), operands), min_size=1, max_size=2).map(tuple)
    return operands | st.builds(syntax.Arithmetic, operands, rest)


SUMS = arithmetic(arithmetic(SIGNED, ["*", "//", "mod"]), ["+", "-"])
ARGUMENTS = st.lists(st.builds(syntax.Argument, st.none() | WORDS, SUMS), max_size=2).map(tuple)
SPLITS = SUMS | st.lists(SUMS, min_size=2, max_size=3).map(lambda parts: syntax.SplitValue(tuple(parts)))
VALUES = SPLITS | st.lists(SPLITS, min_size=2, max_size=3).map(lambda items: syntax.ListValue(tuple(items)))
CHAINS = st.deferred(lambda: st.lists(RUNS, min_size=1, max_size=3).map(lambda runs: syntax.Chain(tuple(runs))))
LAYERS = st.builds(syntax.Layer, WORDS, st.none() | ARGUMENTS)
BRACKETED = st.one_of(
    st.builds(syntax.Layer, WORDS, ARGUMENTS),
    st.builds(syntax.Bracket, CHAINS),
    st.builds(syntax.Block, WORDS, CHAINS, ARGUMENTS),
    st.builds(syntax.Branches, WORDS, st.lists(CHAINS, min_size=2, max_size=3).map(tuple)),
)
COUNTS = st.builds(lambda count: syntax.Literal("number", str(count)), st.integers(0, 99)) | SUMS.filter(
    lambda node: any(isinstance(one, syntax.Name) for one in nodes_in(canonical(node)))
)
"""What can be a number of copies: one that is none is refused when it is built. A name may be gone where a key is given twice."""
TIMES = st.builds(syntax.Count, COUNTS) | st.builds(syntax.Over, WORDS, st.lists(SUMS, min_size=1, max_size=3).map(tuple))
ITEMS = st.one_of(LAYERS, BRACKETED, st.builds(syntax.Reference, WORDS), st.builds(syntax.Repeated, BRACKETED, TIMES, st.booleans()))
RUNS = st.builds(syntax.Run, st.lists(ITEMS, min_size=1, max_size=3).map(tuple), st.none() | WORDS)
PAIRS = st.builds(
    lambda key, value: syntax.Pair(key, key_span=syntax.NOWHERE, value=value), st.lists(NAMES, min_size=1, max_size=2).map(tuple), VALUES
)
ENTRIES = st.one_of(
    st.builds(syntax.Version, st.just(syntax.Literal("number", "1"))),
    st.builds(syntax.Use, st.just(syntax.Literal("string", '"blocks.net"'))),
    st.builds(syntax.Let, WORDS, VALUES),
    st.builds(syntax.Def, WORDS, st.lists(st.builds(syntax.Parameter, WORDS, st.none() | SUMS), max_size=2).map(tuple), CHAINS),
    st.builds(syntax.Setting, st.sampled_from(["input", "classes", "outputs", "seed"]).map(syntax.Word), VALUES),
    st.builds(syntax.Net, CHAINS),
    st.builds(
        syntax.Section, st.sampled_from(["data", "train", "defaults", "search"]).map(syntax.Word), st.lists(PAIRS, max_size=3).map(tuple)
    ),
)
FILES = st.lists(ENTRIES, min_size=1, max_size=4).map(lambda found: syntax.File(tuple(found))) | st.builds(
    lambda one: syntax.File((syntax.Net(one, bare=True),)), CHAINS
)

NOTES = st.sampled_from(["# note", "#", "# ] } )", '# "a', "# net relu # twice", "#x4", "#\t\u00e9"])
SPACES = st.sampled_from([" ", "\n", "\n\n", "  \t", "\f\n", " \n \n\n"])


@st.composite
def texts(draw: st.DrawFn, most_comments: int = 6) -> str:
    """A program with comments, and white space that means nothing, anywhere between its words."""
    source = Source(format_file(draw(FILES)))
    words = tokenize(source).tokens
    gaps = [source.text[one.end_pos : other.start_pos] for one, other in pairwise(words)]
    free = [at for at, word in enumerate(words[:-1]) if word.type != "REPEAT"]  # `x` and its count are one word to the reader
    places = [-1, *free, len(words) - 1]
    spaced = draw(st.lists(st.sampled_from(free), max_size=8)) if free else []
    before, after = draw(st.sampled_from(["", "\n", "\n\n"])), draw(st.sampled_from(["", "\n", " \n\n"]))
    for at in spaced:
        gaps[at] += draw(SPACES)
    all_gaps = [before, *gaps, after]
    for number, at in enumerate(draw(st.lists(st.sampled_from(places), max_size=most_comments))):
        lead = draw(st.sampled_from([" ", "", "\n", "\n\n", "\n  "]))
        all_gaps[at + 1] += f"{lead}{draw(NOTES)} {number}{draw(st.sampled_from(['', '  ']))}\n{draw(st.sampled_from(['', ' ', chr(10)]))}"
    return "".join(gap + word for gap, word in zip(all_gaps, [*map(str, words), ""], strict=True))


def comments_of(text: str) -> list[str]:
    """Every comment of a text, in order."""
    return [text for _, text in tokenize(Source(text)).comments]
