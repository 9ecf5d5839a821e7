"""What is meant by a key that no search has: a key that is nearly it, a `let` for what has none, or what is the same for all trials."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netspec.frontend import syntax
from netspec.frontend.format import value_text
from netspec.frontend.later import OTHER_KEYS, squeezed
from netspec.frontend.sections import key_of, section_keys
from netspec.frontend.tokens import ENTRY_WORDS
from netspec.frontend.words import nearest

SECTION, RATE = "train", "lr"
PREPARED = frozenset({"normalize", "transforms"})
"""Keys of data that change how the same rows are taken."""
SAME_DATA = "what the data says is the same for all trials: take it out of search"
SAME_FOR_ALL = {
    "seed": "all trials have the seed of the text, which draws the splits too, so that their figures can be compared; "
    "train the best spec with others: netspec train best.net --seed 2",
    "data": "trials are compared on the same rows: give each value a sweep of its own, netspec sweep FILE --set {key}=... --study NAME",
    **dict.fromkeys(("input", "classes", "outputs"), SAME_DATA),
}
"""Words of the language that no trial changes, and what to do instead."""


def instead_of_key(key: Sequence[str], value: syntax.Expression, lets: Collection[str]) -> str:
    """What to write instead of a key and its candidates, in a text with these `let`s."""
    near = _meant(key, lets)
    if near is not None:
        return f"did you mean `{near}`?"
    first, last = key[0], key[-1]
    if first == "data" and len(key) > 1 and ".".join(key) not in section_keys("data"):
        near = key_of(last) or nearest(".".join(key), section_keys("data"))
        return f"data has no such key; did you mean `{near}`?" if near else "data has no such key"
    fixed = "seed" if last == "seed" else first
    if fixed in SAME_FOR_ALL and not (first == "data" and last in PREPARED):
        return SAME_FOR_ALL[fixed].format(key=".".join(key) if len(key) > 1 else "data.path")
    if key == (SECTION,):
        return f"name one of its keys: {SECTION}.{RATE} = {value_text(value)}"
    if last in ENTRY_WORDS:
        return "a search changes values: write let width = 64, use `width` in the net, and search width = choice(64, 128)"
    return f"write let {last} = ..., use `{last}` where that value stands, and search {last} = {value_text(value)}"


def _meant(key: Sequence[str], lets: Collection[str]) -> str | None:
    """A key of train without its section, or by the name that others have for it; the rate of an optimizer; a word that is nearly one."""
    bare = [one.removeprefix(f"{SECTION}.") for one in section_keys(SECTION)]
    owners, last = [one for one in key[:-1] if one != SECTION], key[-1]
    ours = last if last in bare else OTHER_KEYS.get(squeezed(last), last)
    if ours in bare and (not owners or (owners == ["optimizer"] and ours == RATE)):
        return f"{SECTION}.{ours}"
    if owners or last in ENTRY_WORDS:
        return last if last in lets else None
    if len(key) == 1:
        known = nearest(last, lets)
        if known is not None:
            return known
    elif last in lets:
        return last
    near = nearest(last, bare)
    return f"{SECTION}.{near}" if near is not None else None
