import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.folding import folded, holds


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("zoe", "Zoë"),
        ("ZOË", "Zoe"),
        ("munoz", "Muñoz"),
        ("nguyen", "Nguyễn"),
        ("unlu", "Dr. Ünlü"),
        ("o'brien", "O’Brien"),
        ("lukasz", "Łukasz"),
        ("soren", "Søren"),
        ("strasse", "Straße"),
        ("istanbul", "İstanbul"),
        ("ilgaz", "Ilgaz"),
        ("zoe\u0308", "Zoë"),
        ("王", "王小明"),
        ("brien gar", "O'Brien-García"),
    ],
)
def test_a_name_is_found_as_it_is_typed(typed: str, name: str) -> None:
    assert holds(name, folded(typed).split())


def test_every_word_must_be_there() -> None:
    assert holds("Jane Smith", ["smith", "ja"])
    assert not holds("Jane Smith", ["smith", "mark"])


@given(st.text())
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(text) == " ".join(folded(text).split())
