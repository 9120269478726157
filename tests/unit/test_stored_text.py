"""Names that are no Unicode text are kept without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.stored_text import from_stored, readable, to_stored

any_text = st.text(alphabet=st.one_of(st.characters(), st.characters(categories=["Cs"]), st.sampled_from("\ufdd0dcf0")))


@given(any_text)
def test_every_string_comes_back(text: str) -> None:
    stored = to_stored(text)
    stored.encode("utf-8")
    assert from_stored(stored) == text


@given(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0"))
def test_text_is_stored_as_it_is(text: str) -> None:
    assert to_stored(text) == text


@given(any_text, any_text)
def test_different_names_are_stored_differently(one: str, two: str) -> None:
    assert (to_stored(one) == to_stored(two)) == (one == two)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plan.pdf", "plan.pdf"), ("é", "é"), ("a\udcff", "a\\xff"), ("a\ud83d", "a\\ud83d"), ("\ufdd0", "\\ufdd0")],
)
def test_people_see_what_is_no_text(text: str, shown: str) -> None:
    assert readable(text) == shown
