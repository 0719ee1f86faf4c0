from datetime import UTC, date, datetime

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_ui.domain import ics_write
from sync_ui.domain.display import client_label, effective, initials, show
from sync_ui.domain.event import Appointment, Client, DisplayMode, Event, Kind, Subject

BUSY, INTERNAL_ID, INITIALS, FIRST_NAME, FULL_NAME = DisplayMode
MODES = [INTERNAL_ID, INITIALS, FIRST_NAME, FULL_NAME, BUSY]

JANE = Client("Jane", "Smith", internal_id="1042")
MARK = Client("Marcus", "Smith", preferred_name="Mark", internal_id="1043")
ZOE = Client("Zoë", "O'Brien-García", internal_id="1044")

MADE = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
CHANGED = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)


def appointment(
    *clients: Client, kind: Kind = Kind.SESSION, title: str = "", location: str = "Room 2"
) -> Appointment:
    return Appointment(
        uid="5f0c2c1e-6f0b-4f7e-9d6a-0d5a2b9a7e11",
        subject=Subject(
            kind=kind, clinician="Dr. Ünlü", clients=clients, title=title, location=location
        ),
        starts_at=datetime(2026, 12, 1, 15, 0, tzinfo=UTC),
        ends_at=datetime(2026, 12, 1, 15, 50, tzinfo=UTC),
        revision=3,
        created_at=MADE,
        changed_at=CHANGED,
    )


def shown(what: Appointment, mode: DisplayMode, *, practice_wide: bool = False) -> Event:
    return show(what, mode, link_revision=0, link_changed_at=MADE, practice_wide=practice_wide)


@pytest.mark.bar("F1")
@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (appointment(JANE), ["1042", "J.S.", "Jane", "Jane Smith", "Busy"]),
        (appointment(MARK), ["1043", "M.S.", "Mark", "Marcus Smith", "Busy"]),
        (
            appointment(JANE, MARK),
            ["1042 & 1043", "J.S. & M.S.", "Jane & Mark", "Jane Smith & Marcus Smith", "Busy"],
        ),
        (appointment(JANE, MARK, ZOE), ["Group (3)"] * 4 + ["Busy"]),
        (appointment(kind=Kind.MEETING, title="Rent"), ["Meeting"] * 3 + ["Rent", "Busy"]),
        (appointment(kind=Kind.SUPERVISION), ["Supervision"] * 4 + ["Busy"]),
        (appointment(kind=Kind.OTHER, title="Dentist"), ["Appointment"] * 3 + ["Dentist", "Busy"]),
        (appointment(title="Intake"), ["Appointment"] * 3 + ["Intake", "Busy"]),
        (appointment(kind=Kind.TIME_OFF, title="Surgery"), ["Time off"] * 4 + ["Busy"]),
        (appointment(JANE, kind=Kind.TIME_OFF), ["Time off"] * 4 + ["Busy"]),
        (appointment(JANE, title="Jane, crisis"), ["1042", "J.S.", "Jane", "Jane Smith", "Busy"]),
    ],
)
def test_each_mode_shows_what_its_column_says(what: Appointment, expected: list[str]) -> None:
    assert [shown(what, mode).summary for mode in MODES] == expected


def test_the_practice_wide_calendar_puts_the_clinician_before_the_summary() -> None:
    summaries = [shown(appointment(JANE), mode, practice_wide=True).summary for mode in MODES]

    assert summaries == [
        "Dr. Ünlü: 1042",
        "Dr. Ünlü: J.S.",
        "Dr. Ünlü: Jane",
        "Dr. Ünlü: Jane Smith",
        "Dr. Ünlü: Busy",
    ]


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(ValueError, match="everything"):
        shown(appointment(JANE), "everything")  # type: ignore[arg-type]


def test_the_whole_event_in_initials() -> None:
    event = show(appointment(JANE), INITIALS, link_revision=4, link_changed_at=MADE)

    assert event == Event(
        uid="5f0c2c1e-6f0b-4f7e-9d6a-0d5a2b9a7e11",
        starts=datetime(2026, 12, 1, 15, 0, tzinfo=UTC),
        ends=datetime(2026, 12, 1, 15, 50, tzinfo=UTC),
        summary="J.S.",
        sequence=7,
        created_at=MADE,
        changed_at=CHANGED,
        location="Room 2",
    )


@pytest.mark.bar("F1")
def test_busy_shows_neither_place_nor_time_off() -> None:
    what = appointment(kind=Kind.TIME_OFF, title="Surgery")

    assert shown(what, INITIALS).location == "Room 2"
    assert shown(what, INITIALS).out_of_office
    assert shown(what, BUSY).location == ""
    assert not shown(what, BUSY).out_of_office


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_adds_a_description(mode: DisplayMode) -> None:
    assert shown(appointment(JANE, title="Intake"), mode).description == ""


def test_only_time_off_is_out_of_office() -> None:
    kinds = [kind for kind in Kind if shown(appointment(kind=kind), FULL_NAME).out_of_office]

    assert kinds == [Kind.TIME_OFF]


def test_an_all_day_appointment_leaves_as_days() -> None:
    days = (date(2026, 12, 24), date(2026, 12, 27))
    what = Appointment(
        uid="u",
        subject=Subject(kind=Kind.TIME_OFF, clinician="Dr. Ünlü"),
        starts_at=datetime(2026, 12, 24, 5, tzinfo=UTC),
        ends_at=datetime(2026, 12, 27, 5, tzinfo=UTC),
        revision=0,
        created_at=MADE,
        changed_at=MADE,
        days=days,
    )

    event = shown(what, INITIALS)

    assert (event.starts, event.ends) == days


def test_a_change_of_the_link_moves_the_event() -> None:
    later = datetime(2026, 11, 5, tzinfo=UTC)

    before = show(appointment(JANE), INITIALS, link_revision=0, link_changed_at=MADE)
    after = show(appointment(JANE), INTERNAL_ID, link_revision=1, link_changed_at=later)

    assert (before.sequence, before.changed_at) == (3, CHANGED)
    assert (after.sequence, after.changed_at) == (4, later)
    assert after.uid == before.uid


@pytest.mark.bar("F3")
@pytest.mark.parametrize("mode", DisplayMode)
@pytest.mark.parametrize("ceiling", DisplayMode)
def test_the_stricter_of_mode_and_ceiling_holds(mode: DisplayMode, ceiling: DisplayMode) -> None:
    order = [BUSY, INTERNAL_ID, INITIALS, FIRST_NAME, FULL_NAME]

    assert effective(mode, ceiling) is order[min(order.index(mode), order.index(ceiling))]
    assert effective(mode, None) is mode


def test_a_capped_client_caps_the_couple() -> None:
    capped = Client("Mark", "Smith", internal_id="1043", ceiling=INITIALS)

    assert shown(appointment(JANE, MARK), FULL_NAME).summary == "Jane Smith & Marcus Smith"
    assert shown(appointment(JANE, capped), FULL_NAME).summary == "J.S. & M.S."
    assert shown(appointment(JANE, capped), INTERNAL_ID).summary == "1042 & 1043"


def test_a_client_who_may_never_be_shown_hides_the_place_too() -> None:
    hidden = Client("Jane", "Smith", ceiling=BUSY)

    event = shown(appointment(hidden), FULL_NAME)

    assert (event.summary, event.location) == ("Busy", "")


def test_a_hidden_client_hides_the_group() -> None:
    hidden = Client("Jane", "Smith", ceiling=BUSY)

    assert shown(appointment(hidden, MARK, ZOE), FIRST_NAME).summary == "Busy"


def test_equal_initials_are_told_apart_by_number() -> None:
    first = Client("Jane", "Smith", number=1)
    second = Client("Joe", "Sanders", number=2)

    assert client_label(first, INITIALS) == "J.S.1"
    assert client_label(second, INITIALS) == "J.S.2"
    assert client_label(second, FULL_NAME) == "Joe Sanders"
    assert shown(appointment(first, second), INITIALS).summary == "J.S.1 & J.S.2"


def test_a_label_obeys_the_clients_own_ceiling() -> None:
    assert client_label(Client("Jane", "Smith", ceiling=INITIALS), FULL_NAME) == "J.S."


@pytest.mark.parametrize(
    ("client", "mode", "label"),
    [
        (Client("Jane", "Smith"), INTERNAL_ID, "Busy"),
        (Client("Jane", "Smith", internal_id=" \t"), INTERNAL_ID, "Busy"),
        (Client("", "Smith"), FIRST_NAME, "S."),
        (Client(" ", "Smith", preferred_name="\u200b"), FIRST_NAME, "S."),
        (Client("", "", preferred_name="Janey"), FULL_NAME, "Janey"),
        (Client("", "", internal_id="1042"), FULL_NAME, "?."),
        (Client("\u3164", "\u2800"), FULL_NAME, "?."),
        (Client("", "Smith"), FULL_NAME, "Smith"),
    ],
)
def test_what_is_missing_shows_in_a_stricter_way(
    client: Client, mode: DisplayMode, label: str
) -> None:
    assert client_label(client, mode) == label


def test_a_couple_of_which_one_has_no_id_shows_as_busy() -> None:
    without = Client("Mark", "Smith")

    assert shown(appointment(JANE, without), INTERNAL_ID).summary == "Busy"


@pytest.mark.parametrize("title", ["", "  ", "\u200b", "\x00"])
def test_a_title_without_a_word_shows_as_its_kind(title: str) -> None:
    assert shown(appointment(kind=Kind.MEETING, title=title), FULL_NAME).summary == "Meeting"


def test_texts_leave_on_one_line() -> None:
    what = appointment(
        Client("Jane\nMarie ", "Smith\u2028"), location="Main\r\nStreet\x00", title="x"
    )

    event = shown(what, FULL_NAME)

    assert (event.summary, event.location) == ("Jane Marie Smith", "Main Street")


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("Jane", "Smith", "J.S."),
        ("jane", "smith", "J.S."),
        ("Cher", "", "C."),
        ("", "Ünlü", "Ü."),
        ("J", "S", "J.S."),
        ("Zoë", "O'Brien-García", "Z.O."),
        ("Jean-Luc", "van der Berg", "J.V."),
        ("Hans", "von Trapp", "H.V."),
        ("Pieter", "'t Hooft", "P.T."),
        ("(Jo)", '"Al"', "J.A."),
        ("  “Zoë", "‹Ärzte›", "Z.Ä."),
        ("Émile", "Zola", "É.Z."),
        ("E\u0301mile", "Zola", "É.Z."),
        ("\u02bbIolani", "Kahananui", "I.K."),
        ("ßen", "ŉab", "ß.ŉ."),
        ("ﬁn", "ıl", "ﬁ.I."),
        ("محمد", "علي", "م.ع."),
        ("דוד", "לוי", "ד.ל."),
        ("小明", "王", "小.王."),
        ("한글", "김", "한.김."),
        ("क्षमा", "शर्मा", "क्ष.श."),
        ("ნინო", "ქავთარაძე", "ნ.ქ."),
        ("2Pac", "Shakur", "2.S."),
        ("🙂 Jo", "🦊", "J."),
        ("🙂", "👩\u200d👧", "?."),
        ("\u202eJane", "\u200dSmith", "J.S."),
        ("J\u200d\U000e0061\U000e0062", "S\ufe0f", "J.S."),
        ("", "", "?."),
        (" \t", "\u00a0", "?."),
        ("\u3164", "--", "?."),
    ],
)
def test_initials_are_the_first_letter_that_a_reader_sees(
    first: str, last: str, expected: str
) -> None:
    assert initials(first, last) == expected


NAMES = st.text(st.characters()) | st.text(st.sampled_from("aßé\u0301\u200d🙂ʻ'-. \n\u202e王م"))
CLIENTS = st.builds(
    Client,
    first_name=NAMES,
    last_name=NAMES,
    preferred_name=NAMES,
    internal_id=NAMES,
    ceiling=st.none() | st.sampled_from(DisplayMode),
)


@settings(deadline=None)
@given(first=NAMES, last=NAMES)
def test_initials_hold_one_letter_of_each_name_at_most(first: str, last: str) -> None:
    assert regex.fullmatch(r"\?\.|(?:[^.]\X*?\.){1,2}", initials(first, last))
    assert len(regex.findall(r"\X", initials(first, last))) <= 4


@settings(deadline=None)
@given(clients=st.lists(CLIENTS, max_size=4), mode=st.sampled_from(DisplayMode), kind=...)
def test_a_summary_is_never_empty_nor_more_than_one_line(
    clients: list[Client], mode: DisplayMode, kind: Kind
) -> None:
    summary = shown(appointment(*clients, kind=kind, title="\u200b"), mode).summary

    assert summary.strip()
    assert summary.splitlines() == [summary]


CANARIES = {
    "first": "Canaryfirst",
    "last": "Xcanarylast",
    "preferred": "Canarypreferred",
    "internal": "canary-7731",
    "title": "canarytitle",
}
SEEDED = Client(
    CANARIES["first"],
    CANARIES["last"],
    preferred_name=CANARIES["preferred"],
    internal_id=CANARIES["internal"],
)
CALENDAR = ics_write.Calendar("uid", "Dr. Ünlü", "Appointments", "Europe/Berlin", CHANGED)


def canaries_in(feed: bytes) -> set[str]:
    text = feed.decode().replace("\r\n ", "").lower()
    return {field for field, canary in CANARIES.items() if canary.lower() in text}


@pytest.mark.bar("F1")
@pytest.mark.parametrize("practice_wide", [False, True])
@pytest.mark.parametrize(
    ("mode", "allowed"),
    [
        (BUSY, set()),
        (INTERNAL_ID, {"internal"}),
        (INITIALS, set()),
        (FIRST_NAME, {"preferred"}),
        (FULL_NAME, {"first", "last"}),
    ],
)
def test_the_feed_holds_nothing_of_a_client_beyond_the_mode(
    mode: DisplayMode, allowed: set[str], practice_wide: bool
) -> None:
    """SECURITY F1."""
    what = appointment(SEEDED, title=CANARIES["title"])
    event = shown(what, mode, practice_wide=practice_wide)

    assert canaries_in(ics_write.write(CALENDAR, [event], year=2026)) == allowed


@pytest.mark.bar("F1")
@pytest.mark.parametrize("mode", DisplayMode)
def test_the_feed_holds_nothing_of_a_group_but_its_size(mode: DisplayMode) -> None:
    event = shown(appointment(SEEDED, SEEDED, SEEDED, title=CANARIES["title"]), mode)

    assert canaries_in(ics_write.write(CALENDAR, [event], year=2026)) == set()


@pytest.mark.bar("F1")
@pytest.mark.parametrize("ceiling", DisplayMode)
@pytest.mark.parametrize("mode", DisplayMode)
def test_a_capped_client_shows_as_the_stricter_mode_would(
    mode: DisplayMode, ceiling: DisplayMode
) -> None:
    capped = Client("Jane", "Smith", "Janey", "1042", ceiling=ceiling)
    free = Client("Jane", "Smith", "Janey", "1042")

    stricter = shown(appointment(free, MARK), effective(mode, ceiling))

    assert shown(appointment(capped, MARK), mode) == stricter
