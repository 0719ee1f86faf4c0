from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sync_ui.models.journal import LONG_AGO, Journal
from tests.practice import Clock

ONE_DAY = timedelta(hours=24)
DIED = datetime(2026, 11, 23, 17, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "revoked.log"


@pytest.mark.bar("L3")
def test_what_one_process_adds_another_knows(path: Path) -> None:
    one, other = Journal(path), Journal(path)
    assert ("a" * 64 in other) is False

    one.add(["a" * 64], DIED)

    assert ("a" * 64 in other) is True
    assert other.died_at("a" * 64) == DIED
    assert other.died_at("b" * 64) is None


def test_a_token_dies_once(path: Path) -> None:
    Journal(path).add(["a" * 64], DIED)
    Journal(path).add(["a" * 64, "b" * 64], DIED + timedelta(days=1))

    assert path.read_text().splitlines() == [
        f"{'a' * 64} 2026-11-23T17:00:00+00:00",
        f"{'b' * 64} 2026-11-24T17:00:00+00:00",
    ]


@pytest.mark.bar("L4")
def test_two_journals_put_together_keep_the_first_death(path: Path) -> None:
    path.write_text(f"{'a' * 64} {DIED.isoformat()}\n{'a' * 64} 2027-01-01T00:00:00+00:00\n")

    assert Journal(path).died_at("a" * 64) == DIED


@pytest.mark.bar("L4")
@pytest.mark.parametrize("cut", ["", " ", " 2026-11-2", " 2026-11-23T17:00:00"])
def test_a_line_cut_short_kills_its_token_all_the_same(path: Path, cut: str) -> None:
    path.write_text(f"{'a' * 64}{cut}")

    assert Journal(path).died_at("a" * 64) == LONG_AGO


def test_only_its_owner_reads_it(path: Path) -> None:
    Journal(path).add(["a" * 64], DIED)

    assert path.stat().st_mode & 0o777 == 0o600


def test_a_damaged_line_costs_itself_alone(path: Path) -> None:
    path.write_bytes(b"\xff\xfe\n" + f"{'a' * 64} {DIED.isoformat()}\n".encode())

    assert Journal(path).died_at("a" * 64) == DIED


@pytest.mark.bar("L3")
def test_what_was_known_stays_known_when_the_file_cannot_be_read(
    path: Path,
) -> None:
    journal = Journal(path)
    journal.add(["a" * 64], DIED)
    assert "a" * 64 in journal
    path.unlink()
    path.mkdir()  # nothing that can be read, by root neither

    assert "a" * 64 in journal
    with pytest.raises(OSError):
        journal.open()


def test_it_is_there_from_the_start(path: Path) -> None:
    Journal(path).open()

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("", 0o600)


@pytest.mark.bar("L4")
def test_a_death_to_come_counts_from_its_moment_on_and_an_earlier_one_at_once(
    path: Path, now: Clock
) -> None:
    journal, to_come = Journal(path), now() + timedelta(hours=24)
    journal.plan([("a" * 64, to_come), ("b" * 64, to_come)])
    assert ("a" * 64 in journal, journal.ends_at("a" * 64)) == (False, to_come)

    journal.add(["b" * 64], now())
    assert [journal.died_at(digest * 64) for digest in "ab"] == [None, now()]
    now.move(hours=24)

    assert [journal.died_at(digest * 64) for digest in "ab"] == [to_come, to_come - ONE_DAY]


def test_a_lost_token_is_not_dead(path: Path) -> None:
    journal = Journal(path)
    journal.lose(["a" * 64], DIED)

    assert journal.gone_at("a" * 64) == DIED
    assert "a" * 64 not in journal
    assert Journal.entries(path.read_text()) == []
