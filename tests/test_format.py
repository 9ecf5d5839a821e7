"""Laws of the canonical form: it means the same, is its own canonical form, and keeps every comment in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from drawn_specs import comments_of, texts
from hypothesis import HealthCheck, example, given, settings

from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import chain_text, format_file
from netspec.frontend.layout import WIDTH, Fill, Group, Line, Nest, lay_out
from netspec.frontend.parse import parse

GOLDEN = Path(__file__).parent / "golden" / "format"
OFTEN = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
Formatter = Callable[[str], str]


def formatted(text: str) -> str:
    return format_file(parse(Source(text)))


def require_law(text: str, form: Formatter = formatted) -> None:
    """What formatting promises of one text."""
    once = form(text)
    assert parse(Source(once)) == parse(Source(text)), "it means something else"
    assert comments_of(once) == comments_of(text), "a comment is lost, or out of order"
    assert form(once) == once, "formatting again changes it"
    assert once.endswith("\n")
    assert not any(line != line.rstrip() for line in once.split("\n"))


@OFTEN
@example("def f # 1\n= [@a]x0")
@example("def f(w) = # 1\nw")
@example("def f(w # 1\n) # 2\n = # 3\n [ # 4\n w # 5\n ] # 6\n x3 # 7\n tied # 8")
@example("res[ # 1\n a # 2\n ] # 3\n ( # 4\n proj # 5\n ) # 6\n")
@example("add( # 1\n a # 2\n | # 3\n b # 4\n ) # 5\n -c # 6\n @ # 7\n n # 8")
@example("a\n# 1\n-\n# 2\nb\n# 3\n->\n# 4\nc")
@example("train # 1\n { # 2\n a # 3\n = # 4\n f # 5\n ( # 6\n b # 7\n = # 8\n ( # 9\n 2 # 10\n ) # 11\n ) # 12\n ; # 13\n } # 14\n")
@example("let # 1\n a # 2\n = # 3\n - # 4\n 2 # 5\n * # 6\n 3 # 7\n , # 8\n 4 # 9\n / # 10\n 5 # 11\n")
@example("[a]x( # 1\n c # 2\n : # 3\n 1 # 4\n , # 5\n 2 # 6\n ) # 7\n")
@example("data { }\ndata {\n# 1\n\n# 2\n}\ndata { # 3\n}")
@given(texts())
def test_a_text_in_canonical_form_keeps_its_meaning_and_its_comments(text: str) -> None:
    require_law(text)


COMMENTED = "# one\nnetspec 1\nnet a # two\n -> b # three\n -> add( # four\n c | d # five\n) # six\n# seven\n"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda _, form: form.replace("  # five", ""), "a comment is lost"),
        (lambda _, form: form.replace("# two", "# 2").replace("# three", "# two").replace("# 2", "# three"), "out of order"),
        (lambda _, form: form.replace("  # six", "") + "# six\n", "out of order"),
        (lambda _, form: form.replace("-> b", "-> e"), "it means something else"),
        (lambda _, form: form.replace("| d", "-> d | e"), "it means something else"),
        (lambda text, form: form if text == COMMENTED else f"\n{form}", "formatting again changes it"),
    ],
)
def test_the_law_sees_what_breaks_it(spoil: Callable[[str, str], str], reason: str) -> None:
    require_law(COMMENTED)
    with pytest.raises(AssertionError, match=reason):
        require_law(COMMENTED, lambda text: spoil(text, formatted(text)))


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.net")), ids=lambda path: path.stem)
def test_the_form_is_the_expected_one(path: Path) -> None:
    """Texts that only formatting wrote: blank lines, branches, long runs, arguments, lists, comments in every place."""
    text = path.read_text(encoding="utf-8")
    assert formatted(text) == text
    loose = text.replace("    ", "\t").replace(", ", " ,\n") if path.stem != "comments" else text.replace("    ", "\t")
    assert formatted(loose) == text


def test_there_are_expected_forms() -> None:
    assert {path.stem for path in GOLDEN.glob("*.net")} == {"branches", "comments", "long"}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("a->b\u2192c", "a -> b -> c\n"),
        ("[a]x(3)", "[a]x3\n"),
        ("[a]\u00d73 tied", "[a]x3 tied\n"),
        ("def f()=a net f", "def f = a\nnet f\n"),
        ("net f( a=1 ,b = 2 )", "net f(a=1, b=2)\n"),
        ("data{a=1;b=2}", "data { a = 1; b = 2 }\n"),
        ("train{}", "train { }\n"),
        ("let a=1+2*-3", "let a = 1 + 2 * -3\n"),
        ("let a = 80%/10%/10%", "let a = 80% / 10% / 10%\n"),
        ("input 3\u00d732\u00d732", "input 3x32x32\n"),
        ("add(a|b->c)@n", "add(a | b -> c) @n\n"),
        ("res[a-b](proj)-c", "res[a-b](proj)-c\n"),
        ("let a = 1\n\n\n\nlet b = 2", "let a = 1\n\nlet b = 2\n"),
        ("let a = 1 # x\n\n# y\n\nlet b = 2", "let a = 1  # x\n\n# y\n\nlet b = 2\n"),
    ],
)
def test_signs_and_spaces(text: str, form: str) -> None:
    assert formatted(text) == form
    require_law(text)


def test_a_text_on_one_line_stays_on_one() -> None:
    """What messages and summaries show of a chain has no line ends and no comments."""
    net = parse(Source(COMMENTED)).entries[1]
    assert isinstance(net, syntax.Net)
    assert chain_text(net.chain) == "a -> b -> add(c | d)"


def test_lines_are_at_most_as_wide_as_they_may_be() -> None:
    widest = max(len(line.partition("  #")[0]) for path in GOLDEN.glob("*.net") for line in path.read_text(encoding="utf-8").split("\n"))
    assert WIDTH - 10 < widest <= WIDTH


def test_a_group_breaks_where_it_is_one_column_too_wide() -> None:
    def lines(width: int) -> list[str]:
        return lay_out(Group(["(", Nest([Line(""), "a" * (width - 2)]), Line("", closes=True), ")"]))

    assert lines(WIDTH) == [f"({'a' * (WIDTH - 2)})"]
    assert lines(WIDTH + 1) == ["(", f"    {'a' * (WIDTH - 1)}", ")"]


def test_a_fill_breaks_where_the_next_part_does_not_fit() -> None:
    parts = ["a" * 60, Line(" "), "b" * 39, Line(" "), "c" * 60, Line(" "), "d" * 40]
    assert lay_out(Fill(list(parts))) == [f"{'a' * 60} {'b' * 39}", f"    {'c' * 60}", f"    {'d' * 40}"]
