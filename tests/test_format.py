"""Laws of the canonical form: it means the same, is its own canonical form, and keeps every comment in its place."""

from __future__ import annotations

import pytest
from drawn_specs import comments_of, texts
from hypothesis import HealthCheck, given, settings

from netspec.base.text import Source
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse

OFTEN = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def formatted(text: str) -> str:
    return format_file(parse(Source(text)))


@OFTEN
@given(texts())
def test_law(text: str) -> None:
    once = formatted(text)
    assert parse(Source(once)) == parse(Source(text))
    assert comments_of(once) == comments_of(text)
    assert formatted(once) == once
