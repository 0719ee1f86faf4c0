"""Keys on paper, and what fingers make of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_ui.domain import key_sheet
from sync_ui.domain.key_sheet import Mistyped

KEYS = {"database": bytes(range(32)), "token": b"\xa1" * 32, "secret": bytes(range(32, 64))}


def printed(**keys: bytes) -> list[str]:
    return [str(line) for name, key in keys.items() for line in key_sheet.lines(name, key)]


def test_a_key_is_four_lines_of_four_groups_and_a_check_group() -> None:
    first = key_sheet.lines("database", KEYS["database"])[0]

    assert (first.label, first.groups) == ("D1", ("0001", "0203", "0405", "0607"))
    assert str(first) == f"D1 0001 0203 0405 0607 {first.check}"
    assert [line.label for line in key_sheet.lines("token", KEYS["token"])] == [
        "T1",
        "T2",
        "T3",
        "T4",
    ]


@given(st.fixed_dictionaries({name: st.binary(min_size=32, max_size=32) for name in KEYS}))
def test_what_was_printed_is_read(keys: dict[str, bytes]) -> None:
    assert key_sheet.read(printed(**keys)) == keys


def test_capitals_blanks_dots_order_and_letters_that_look_like_digits_do_not_matter() -> None:
    lines = printed(**KEYS)
    typed = [lines[0].upper().replace("0", "O"), "", f"  {lines[1].replace(' ', '')}"]
    typed += [lines[2].replace(" ", " . "), lines[3].replace("1", "l"), *reversed(lines[4:])]

    assert key_sheet.read(typed) == KEYS


@pytest.mark.bar("L6", "B3")
def test_every_single_wrong_digit_is_found_and_its_line_named() -> None:
    lines = printed(database=KEYS["database"])
    line = lines[1].replace(" ", "")
    for at in range(2, len(line)):
        wrong = line[:at] + ("f" if line[at] != "f" else "e") + line[at + 1 :]

        with pytest.raises(Mistyped, match=r"^Line D2 has a typing error"):
            key_sheet.read([lines[0], wrong, *lines[2:]])


def test_two_neighbours_in_each_others_place_are_found() -> None:
    line = printed(database=KEYS["database"])[1].replace(" ", "")
    for at in range(2, 17):
        if line[at] != line[at + 1]:
            swapped = line[:at] + line[at + 1] + line[at] + line[at + 2 :]

            assert key_sheet.trouble(swapped) is not None


@pytest.mark.parametrize("label", ["D3", "T2", "S2"])
def test_a_line_in_anothers_place_is_found(label: str) -> None:
    line = printed(database=KEYS["database"])[1]

    assert key_sheet.trouble(line) is None
    assert key_sheet.trouble(label + line[2:]) == (
        f"Line {label} has a typing error: its check group does not fit."
    )


def test_a_missing_line_is_named() -> None:
    lines = printed(token=KEYS["token"])

    with pytest.raises(Mistyped, match=r"The token key is not whole: line T3 is missing\."):
        key_sheet.read([*lines[:2], lines[3]])


def test_a_line_that_stands_there_twice_is_read_once() -> None:
    lines = printed(token=KEYS["token"])

    assert key_sheet.read([*lines, lines[2]]) == {"token": KEYS["token"]}
    with pytest.raises(Mistyped, match="twice, and differently"):
        key_sheet.read([*lines, printed(token=KEYS["secret"])[2]])


@pytest.mark.parametrize("typed", ["hello", "D5 0001 0203 0405 0607 0000", "D1 0001", "0" * 64])
def test_what_is_no_line_of_a_sheet_is_told_without_repeating_it(typed: str) -> None:
    told = key_sheet.trouble(typed)

    assert told is not None
    assert told.startswith("Line 1 of what was typed is no line of a recovery sheet")
    assert typed not in told
