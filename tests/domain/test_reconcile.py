"""The decision table of copies, a case a line: nothing outside ever removes an appointment."""

from datetime import UTC, date, datetime, timedelta

import pytest

from sync_ui.domain import reconcile
from sync_ui.domain.outside import Entry, Told
from sync_ui.domain.reconcile import OTHER, Base, Found, Owed

TEN = datetime(2026, 12, 1, 15, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def told(summary: str = "J.S.", at: datetime = TEN) -> Told:
    return Told(starts=at, ends=at + HOUR, summary=summary)


OURS = told()
MOVED_HERE = told(at=TEN + HOUR)
MOVED_THERE = told(at=TEN + 2 * HOUR)
RENAMED_HERE = told("Jane")
WHOLE_DAY = Told(starts=date(2026, 12, 1), ends=date(2026, 12, 2), summary="J.S.")


def base(digest: str = OURS.digest, *, etag: str = "1", held: str = "") -> Base:
    return Base(etag=etag, digest=digest, when=OURS.when, held=held)


def entry(of: Told | None, etag: str = "2") -> Entry:
    return Entry(id="sc1", etag=etag, mark="ours", told=of)


@pytest.mark.bar("S7")
@pytest.mark.parametrize(
    ("wanted", "known", "there", "meaning"),
    [
        pytest.param(OURS, base(), entry(OURS, "1"), Found.NOTHING, id="an echo"),
        pytest.param(OURS, base(), entry(OURS), Found.ADOPT, id="an echo under another etag"),
        pytest.param(RENAMED_HERE, base(), entry(OURS), Found.ADOPT, id="what we wrote before"),
        pytest.param(
            RENAMED_HERE, base(), entry(RENAMED_HERE), Found.ADOPT, id="a writing not answered"
        ),
        pytest.param(OURS, base(""), entry(OURS), Found.ADOPT, id="a first writing not answered"),
        pytest.param(OURS, base(), entry(told("Gym")), Found.RESTORE, id="its words changed"),
        pytest.param(OURS, base(), entry(None), Found.RESTORE, id="something unreadable"),
        pytest.param(OURS, base(), entry(WHOLE_DAY), Found.RESTORE, id="made a whole day"),
        pytest.param(OURS, base(), entry(MOVED_THERE), Found.MOVED, id="moved there"),
        pytest.param(
            RENAMED_HERE, base(), entry(MOVED_THERE), Found.MOVED, id="moved there, renamed here"
        ),
        pytest.param(
            MOVED_HERE, base(), entry(MOVED_THERE), Found.OVERTAKEN, id="moved there and here"
        ),
        pytest.param(
            MOVED_HERE,
            base(),
            entry(told("Gym", TEN + HOUR)),
            Found.RESTORE,
            id="moved to the same time there and here",
        ),
        pytest.param(None, base(), entry(MOVED_THERE), Found.RESTORE, id="moved there, gone here"),
        pytest.param(OURS, base(), None, Found.REMOVED, id="removed there"),
        pytest.param(MOVED_HERE, base(), None, Found.OVERTAKEN, id="removed there, moved here"),
        pytest.param(
            OURS, base(OTHER, held=OURS.digest), None, Found.REMOVED, id="moved, then removed"
        ),
        pytest.param(
            OURS,
            base(OTHER, etag="", held=OURS.digest),
            None,
            Found.NOTHING,
            id="removed, and asked about already",
        ),
        pytest.param(
            OURS,
            base(OTHER, etag=""),
            None,
            Found.NOTHING,
            id="removed, to be put back, and listed before that was done",
        ),
        pytest.param(None, base(), None, Found.FORGET, id="removed there and here"),
        pytest.param(OURS, base(""), None, Found.FORGET, id="never written"),
        pytest.param(OURS, None, None, Found.FORGET, id="never known"),
        pytest.param(OURS, None, entry(OURS), Found.ADOPT, id="found again, as it is to be"),
        pytest.param(OURS, None, entry(told("Gym")), Found.STRAY, id="found again, changed"),
        pytest.param(OURS, base(""), entry(told("Gym")), Found.STRAY, id="written, then changed"),
        pytest.param(None, None, entry(OURS), Found.STRAY, id="left from before"),
    ],
)
def test_a_change_outside_means(
    wanted: Told | None, known: Base | None, there: Entry | None, meaning: Found
) -> None:
    assert reconcile.found(wanted, known, there) is meaning


@pytest.mark.parametrize(
    ("starts", "lasts"),
    [
        pytest.param(TEN + HOUR, timedelta(0), id="no time at all"),
        pytest.param(TEN + HOUR, timedelta(days=20), id="for weeks"),
        pytest.param(TEN + timedelta(days=400), HOUR, id="to another year"),
    ],
)
def test_where_nobody_can_follow_it_is_put_back(starts: datetime, lasts: timedelta) -> None:
    assert reconcile.found(OURS, base(), entry(MOVED_THERE)) is Found.MOVED
    there = Told(starts=starts, ends=starts + lasts, summary="J.S.")
    assert reconcile.found(OURS, base(), entry(there)) is Found.RESTORE


def test_without_our_mark_it_is_written_again() -> None:
    assert reconcile.found(OURS, base(), entry(OURS)) is Found.ADOPT
    assert reconcile.found(OURS, base(), entry(OURS), marked=False) is Found.RESTORE


def test_what_left_the_window_is_left_where_it_is() -> None:
    assert reconcile.found(None, None, entry(OURS)) is Found.STRAY
    assert reconcile.found(None, None, entry(OURS), past=True) is Found.NOTHING


@pytest.mark.parametrize(
    ("wanted", "known", "owed"),
    [
        pytest.param(OURS, None, Owed.CREATE, id="new"),
        pytest.param(OURS, base("", etag=""), Owed.CREATE, id="its id is stored, no more"),
        pytest.param(OURS, base(), Owed.NOTHING, id="as it is to be"),
        pytest.param(MOVED_HERE, base(), Owed.OVERWRITE, id="moved here"),
        pytest.param(RENAMED_HERE, base(), Owed.OVERWRITE, id="shown otherwise"),
        pytest.param(OURS, base(OTHER), Owed.OVERWRITE, id="to be put back"),
        pytest.param(OURS, base(OTHER, etag=""), Owed.CREATE, id="removed, to be put back"),
        pytest.param(OURS, base(OTHER, held=OURS.digest), Owed.NOTHING, id="asked about"),
        pytest.param(
            MOVED_HERE, base(OTHER, held=OURS.digest), Owed.OVERWRITE, id="asked about, moved here"
        ),
        pytest.param(None, base(), Owed.REMOVE, id="cancelled"),
        pytest.param(None, base(OTHER, held=OURS.digest), Owed.REMOVE, id="asked, cancelled"),
        pytest.param(None, None, Owed.NOTHING, id="nothing"),
    ],
)
def test_what_is_owed(wanted: Told | None, known: Base | None, owed: Owed) -> None:
    assert reconcile.owed(wanted, known) is owed


def test_what_is_over_is_forgotten_and_stays_there() -> None:
    assert reconcile.owed(None, base()) is Owed.REMOVE
    assert reconcile.owed(None, base(), past=True) is Owed.FORGET


@pytest.mark.bar("S3")
@pytest.mark.parametrize(
    ("changed", "known", "suspicious"),
    [(9, 9, False), (10, 10, True), (10, 49, True), (10, 50, False), (11, 50, True), (0, 0, False)],
)
def test_a_fifth_and_ten_at_once_are_too_many(
    changed: int, known: int, *, suspicious: bool
) -> None:
    means = [Found.REMOVED] * changed + [Found.ADOPT] * 100
    assert reconcile.is_suspicious(means, known) is suspicious


def test_equal_words_at_equal_times_have_equal_digests() -> None:
    elsewhere = TEN.astimezone(tz=None)
    assert told().digest == told(at=elsewhere).digest
    changed = [
        told("J.T."),
        told(at=TEN + timedelta(seconds=1)),
        Told(starts=TEN, ends=TEN + 2 * HOUR, summary="J.S."),
        Told(starts=TEN, ends=TEN + HOUR, summary="J.S.", location="Room 2"),
        Told(starts=TEN, ends=TEN + HOUR, summary="J.S.", description="Room 2"),
        Told(starts=TEN, ends=TEN + HOUR, summary="J.S.", free=True),
        WHOLE_DAY,
    ]
    assert len({each.digest for each in [told(), *changed]}) == 1 + len(changed)
