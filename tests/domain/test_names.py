import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain.names import people

JANE, MARK = ("Jane", "Smith"), ("Mark", "Smith")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane Smith", [JANE]),
        ("  Jane   Smith ", [JANE]),
        ("Smith, Jane", [JANE]),
        ("Mary Jane Smith", [("Mary Jane", "Smith")]),
        ("Cher", [("Cher", "")]),
        ("Zoë O'Brien-García", [("Zoë", "O'Brien-García")]),
        ("Anna van der Berg", [("Anna", "van der Berg")]),
        ("van der Berg, Anna", [("Anna", "van der Berg")]),
        ("Van Morrison", [("Van", "Morrison")]),
        ("Dr. Ünlü", [("Ünlü", "")]),
        ("Mrs. Jane Smith", [JANE]),
        ("John Smith Jr.", [("John", "Smith Jr.")]),
        ("Smith, John, Jr.", [("John", "Smith Jr.")]),
        ("John Smith, III", [("John", "Smith III")]),
        ("Jane Smith (she/her)", [JANE]),
        ("Jane Smith [new]", [JANE]),
        ("", []),
        (" , & ; ", []),
    ],
)
def test_a_name_is_split(text: str, expected: list[tuple[str, str]]) -> None:
    assert people(text) == tuple(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Jane Smith & Mark Smith", [JANE, MARK]),
        ("Jane Smith and Mark Smith", [JANE, MARK]),
        ("Jane Smith; Mark Smith", [JANE, MARK]),
        ("Jane Smith / Mark Smith", [JANE, MARK]),
        ("Jane Smith\nMark Smith", [JANE, MARK]),
        ("Smith, Jane; Smith, Mark", [JANE, MARK]),
        ("Jane & Mark Smith", [JANE, MARK]),
        ("Smith, Jane & Mark", [JANE, MARK]),
        ("Jane Smith & Mark Jones", [JANE, ("Mark", "Jones")]),
        ("Jane Smith & Mark", [JANE, ("Mark", "")]),
        ("Jane Smith, Mark Smith, Li Wei", [JANE, MARK, ("Li", "Wei")]),
        ("Jane Smith & Jane Smith", [JANE]),
        ("Sandy Anderson", [("Sandy", "Anderson")]),
    ],
)
def test_couples_and_groups_are_several_people(text: str, expected: list[tuple[str, str]]) -> None:
    assert people(text) == tuple(expected)


@given(st.text())
def test_everybody_found_in_any_text_has_a_name(text: str) -> None:
    assert all(first.strip() or last.strip() for first, last in people(text))
