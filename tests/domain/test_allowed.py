from ipaddress import ip_address

import pytest

from sync_ui.domain import allowed
from sync_ui.errors import Invalid

LIST = """
  203.0.113.7   # the office's door
198.51.100.77/24
# Anna at home, in the summer

2001:DB8:0:0::/64#remote # twice
203.0.113.7   # the office's door
::ffff:192.0.2.8
::ffff:10.0.0.0/104
fe80::1%eth0
"""


def test_each_line_is_kept_once_in_its_usual_form_with_its_remark() -> None:
    assert allowed.read(LIST).lines == (
        "203.0.113.7 # the office's door",
        "198.51.100.0/24",
        "# Anna at home, in the summer",
        "2001:db8::/64 # remote # twice",
        "192.0.2.8",
        "10.0.0.0/8",
        "fe80::1%eth0",
    )


def test_what_is_kept_reads_as_the_same() -> None:
    found = allowed.read(LIST)

    assert allowed.read(found.text) == found


@pytest.mark.bar("N1")
@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("203.0.113.7", True),
        ("203.0.113.8", False),
        ("198.51.100.255", True),
        ("198.51.101.0", False),
        ("2001:db8::ffff", True),
        ("2001:db8:0:1::", False),
        ("192.0.2.8", True),
        ("10.255.0.1", True),
        ("127.0.0.1", False),
    ],
)
def test_who_comes_from_there_is_admitted(address: str, admitted: bool) -> None:
    assert allowed.read(LIST).admits(ip_address(address)) is admitted


@pytest.mark.bar("N1")
def test_an_unknown_address_is_admitted_only_while_there_is_no_list() -> None:
    assert allowed.read("# nothing but a remark").admits(None) is True
    assert allowed.read("0.0.0.0/0\n::/0").admits(None) is False


@pytest.mark.parametrize(
    "line", ["office", "203.0.113.*", "203.0.113.0/33", "010.0.0.1", "10.0.0.1 10.0.0.2", "1.2.3"]
)
def test_a_line_that_is_none_is_named(line: str) -> None:
    with pytest.raises(Invalid) as error:
        allowed.read(f"203.0.113.7\n{line}")

    assert error.value.sentence == (
        "Line 2 is neither an address nor a network. "
        "Write one a line, such as 203.0.113.7 or 198.51.100.0/24."
    )


@pytest.mark.parametrize(
    "text", ["\n".join(f"10.0.0.{n}\n10.0.1.{n}" for n in range(101)), "# " + "x" * 200]
)
def test_a_list_has_an_end(text: str) -> None:
    with pytest.raises(Invalid, match="At most 200 lines"):
        allowed.read(text)


def test_a_household_is_an_address_or_64_bits() -> None:
    assert allowed.household(ip_address("203.0.113.7")) == "203.0.113.7"
    assert allowed.household(ip_address("2001:db8:1:2:3::4")) == "2001:db8:1:2::/64"


def test_what_is_switched_off_keeps_nobody_out_and_all_its_lines() -> None:
    off = allowed.read(allowed.switched_off(allowed.read(f"{LIST}\n10.0.0.1 # {'x' * 185}")))

    assert off.networks == ()
    assert len(off.lines) == 8
    assert off.lines[0] == "# 203.0.113.7 # the office's door"
