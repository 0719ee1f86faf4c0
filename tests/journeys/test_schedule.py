"""The schedule as people run a week with it, on a desk and on a phone."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import count
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page, expect

from tests.browser import DESKTOP, PHONE, Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

SCHEDULER = "scheduler@demo.example"
OWN = "clinician@demo.example"

# So many pixels high is an hour.
HOUR = 56

# Weeks after the demo's last appointment, so that a test meets its own alone.
_weeks = count()


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    """A demo in New York with three clinicians."""
    shared = Product(tmp_path_factory.mktemp("schedule"))
    fill(shared, 3, 2)
    yield from running(shared)


@pytest.fixture
def monday() -> str:
    """A Monday without appointments that no other test uses."""
    return (date(2029, 1, 1) + timedelta(weeks=next(_weeks))).isoformat()


@pytest.fixture
def page(practice: Product, open_page: OpenPage) -> Page:
    return open_page(base_url=practice.url, reduced_motion="reduce")


def book(practice: Product, start: str, client: str = "Jane Smith", minutes: int = 50) -> str:
    return practice.command(
        *("appointments", "add", "--clinician", OWN, "--client", client),
        *("--start", start, "--minutes", str(minutes)),
    )


def look(page: Page, query: str) -> None:
    page.goto(f"/calendar?{query}")
    expect(page.locator(".ec-main")).to_be_visible()


def drawn(page: Page, number: str) -> Locator:
    return page.locator(f'.ec-event[data-event="{number}"] .event-button')


def asked(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def title(page: Page) -> Locator:
    return page.locator("#schedule-title")


def place_of(page: Page, hour: float) -> tuple[float, float]:
    """Where that hour of the one day shown begins."""
    column = page.locator(".ec-body .ec-day").bounding_box()
    assert column is not None
    return column["x"] + 200, column["y"] + hour * HOUR


def drag(page: Page, what: Locator, across: float, down: float) -> None:
    box = what.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + 10
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across / 2, y + down / 2, steps=4)
    page.mouse.move(x + across, y + down, steps=4)
    page.mouse.up()


def test_keys_and_buttons_lead_through_views_and_days(page: Page) -> None:
    steps.sign_in(page, OWN)
    look(page, "view=week&date=2028-03-15")
    expect(title(page)).to_have_text("March 12 – 18, 2028")

    def shows(key: str, words: str, view: str, day: str) -> None:
        page.keyboard.press(key)
        expect(title(page)).to_have_text(words)
        assert (asked(page)["view"], asked(page)["date"]) == ([view], [day])

    shows("k", "March 13 – 17, 2028", "work-week", "2028-03-15")
    shows("d", "Wednesday, March 15, 2028", "day", "2028-03-15")
    shows("ArrowRight", "Thursday, March 16, 2028", "day", "2028-03-16")
    shows("m", "March 2028", "month", "2028-03-16")
    shows("ArrowLeft", "February 2028", "month", "2028-02-01")
    shows("a", "February 1 – 7, 2028", "agenda", "2028-02-01")
    expect(page.get_by_text("Nothing planned in these days")).to_be_visible()
    shows("w", "January 30 – February 5, 2028", "week", "2028-02-01")

    page.reload()
    expect(title(page)).to_have_text("January 30 – February 5, 2028")
    page.get_by_label("Go to").fill("2028-07-04")
    expect(title(page)).to_have_text("July 2 – 8, 2028")
    page.get_by_role("link", name="Month", exact=True).click()
    expect(title(page)).to_have_text("July 2028")
    page.keyboard.press("t")
    expect(page.locator(".ec-day.ec-today")).to_be_visible()


def test_keys_are_letters_to_someone_who_types(page: Page) -> None:
    steps.sign_in(page, OWN)
    look(page, "view=week&date=2028-03-15")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys.get_by_text("Work week")).to_be_visible()
    page.keyboard.press("m")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    expect(title(page)).to_have_text("March 12 – 18, 2028")
    page.keyboard.press("/")
    page.keyboard.type("mdw")
    expect(title(page)).to_have_text("March 12 – 18, 2028")


def test_the_picker_shows_one_several_or_everyone(page: Page) -> None:
    steps.sign_in(page, SCHEDULER)
    expect(page.locator(".ec-col-head")).to_have_count(3)  # side by side, to begin with
    heads = page.locator(".ec-col-head")
    names = heads.all_inner_texts()
    page.locator(".picker summary").click()
    page.get_by_role("checkbox", name=names[0]).check()
    expect(heads).to_have_text([names[0]])
    expect(page.locator("#sync-calendar")).to_have_attribute("href", re.compile(r"/\d+/sync$"))
    page.get_by_role("checkbox", name=names[2]).check()
    expect(page.locator("#sync-calendar")).to_have_attribute("href", "/calendars")
    expect(heads).to_have_text([names[0], names[2]])
    assert len(asked(page)["clinician"]) == 2

    page.reload()
    expect(heads).to_have_text([names[0], names[2]])
    expect(page.locator("#picked")).to_have_text("2 clinicians")
    page.locator(".picker summary").click()
    page.get_by_role("button", name="Everyone").click()
    expect(heads).to_have_text(names)
    assert "clinician" not in asked(page)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "Europe/Berlin"])
def test_times_are_the_practices_whatever_the_browsers_zone(
    practice: Product, open_page: OpenPage, monday: str, zone: str
) -> None:
    number = book(practice, f"{monday}T22:30")
    page = open_page(base_url=practice.url, timezone_id=zone)
    steps.sign_in(page, OWN)

    look(page, f"view=day&date={monday}")

    expect(drawn(page, number)).to_contain_text("10:30 – 11:20 PM")
    expect(drawn(page, number)).to_contain_text("Monday, ")
    expect(page.locator("#schedule-zone")).to_contain_text("New York time. Your clock is")


def test_days_on_which_clocks_change_are_right_in_every_browser(
    practice: Product, open_page: OpenPage
) -> None:
    """In New York the clocks change on 12 March, in Berlin on 26 March."""
    days = ("2028-03-12", "2028-03-26", "2028-11-05")
    numbers = [book(practice, f"{day}T10:00") for day in days]
    page = open_page(base_url=practice.url, timezone_id="Europe/Berlin")
    steps.sign_in(page, OWN)

    for day, number in zip(days, numbers, strict=True):
        look(page, f"view=day&date={day}")
        expect(drawn(page, number)).to_contain_text("10:00 – 10:50 AM")
        expect(page.locator(".ec-slot time").nth(10)).to_have_text("10 AM")
        box = drawn(page, number).bounding_box()
        assert box is not None
        assert abs(box["y"] - place_of(page, 10)[1]) < 4


def test_what_is_dragged_is_moved_and_can_be_put_back(
    practice: Product, page: Page, monday: str
) -> None:
    number = book(practice, f"{monday}T10:00")
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    column = page.locator(".ec-body .ec-day").first.bounding_box()
    assert column is not None

    drag(page, drawn(page, number), column["width"], HOUR)

    status = page.get_by_role("status").filter(has_text="Moved to")
    expect(status).to_contain_text("11:00 AM")
    expect(drawn(page, number)).to_contain_text("11:00 – 11:50 AM")
    expect(drawn(page, number)).to_contain_text("Tuesday")

    page.get_by_role("button", name="Undo").click()
    expect(drawn(page, number)).to_contain_text("10:00 – 10:50 AM")
    expect(drawn(page, number)).to_contain_text("Monday")
    page.reload()
    expect(drawn(page, number)).to_contain_text("10:00 – 10:50 AM")


def test_its_edge_makes_it_longer_and_z_undoes_it(
    practice: Product, page: Page, monday: str
) -> None:
    number = book(practice, f"{monday}T10:00", minutes=60)
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={monday}")
    box = drawn(page, number).bounding_box()
    assert box is not None
    x, y = box["x"] + 60, box["y"] + box["height"] - 2

    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 14, steps=4)
    page.mouse.move(x, y + 28, steps=4)
    page.mouse.up()

    expect(drawn(page, number)).to_contain_text("10:00 – 11:30 AM")
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    page.keyboard.press("z")
    expect(drawn(page, number)).to_contain_text("10:00 – 11:00 AM")


def test_a_colleague_takes_over_by_dragging(practice: Product, page: Page, monday: str) -> None:
    number = book(practice, f"{monday}T10:00")
    steps.sign_in(page, SCHEDULER)
    look(page, f"view=team&date={monday}")
    heads = page.locator(".ec-col-head")
    names = heads.all_inner_texts()
    own = names.index("Dr. Ünlü")
    to = own - 1 if own else 1
    here, there = heads.nth(own).bounding_box(), heads.nth(to).bounding_box()
    assert here is not None
    assert there is not None

    drag(page, drawn(page, number), there["x"] - here["x"], 0)

    expect(page.get_by_role("status").filter(has_text="Moved to")).to_be_visible()
    expect(drawn(page, number)).to_contain_text(names[to])


def test_a_taken_time_asks_and_what_is_left_goes_back(
    practice: Product, page: Page, monday: str, faults: Faults
) -> None:
    faults.forgive("409")
    number = book(practice, f"{monday}T10:00")
    book(practice, f"{monday}T11:00", client="Mark Diallo")
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    expect(page.locator(".ec-event")).to_have_count(2)

    drag(page, drawn(page, number), 0, HOUR)
    dialog = page.get_by_role("dialog", name="Appointment")
    expect(dialog.get_by_label("Reason to book it all the same")).to_be_visible()
    dialog.get_by_role("link", name="Leave it").click()
    expect(dialog).to_be_hidden()
    expect(drawn(page, number)).to_contain_text("10:00 – 10:50 AM")

    drag(page, drawn(page, number), 0, HOUR)
    dialog.get_by_label("Reason to book it all the same").fill("Both agreed")
    dialog.get_by_role("button", name="Move all the same").click()
    expect(dialog).to_be_hidden()
    expect(drawn(page, number)).to_contain_text("11:00 – 11:50 AM")


@pytest.mark.parametrize(
    ("choice", "at", "then"),
    [
        ("This one", 8, ["8:00", "9:00", "8:00"]),
        ("This and following", 11, ["11:00", "12:00", "12:00"]),
        ("All, the past ones too", 14, ["3:00", "3:00", "3:00"]),
    ],
)
def test_a_turn_that_is_dragged_takes_along_what_was_chosen(
    page: Page, faults: Faults, choice: str, at: int, then: list[str]
) -> None:
    faults.forgive("409")
    # A series is kept a year ahead; on Saturdays the demo rests.
    saturday = date.today() + timedelta(days=7 + (5 - date.today().weekday()) % 7)  # noqa: DTZ011
    weeks = [saturday + timedelta(weeks=n) for n in range(3)]
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={saturday}")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="Appointment")
    dialog.get_by_label("Kind").select_option(label="Meeting")
    dialog.get_by_label("Title").fill(choice)
    dialog.get_by_label("Start", exact=True).fill(f"{at:02}:00")
    dialog.get_by_text("Does not repeat").first.click()
    dialog.get_by_label("How", exact=True).select_option("weekly")
    dialog.get_by_label("Or how often").fill("3")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    turn = page.locator(".event-button", has_text=choice)

    look(page, f"view=day&date={weeks[1]}")
    drag(page, turn, 0, HOUR)
    dialog.get_by_role("radio", name=choice).check()
    dialog.get_by_role("button", name="Move it").click()
    expect(dialog).to_be_hidden()

    for day, start in zip(weeks, then, strict=True):
        look(page, f"view=day&date={day}")
        expect(turn).to_contain_text(f"{start} – ")


def test_a_gap_is_booked_by_a_click_and_a_few_letters(page: Page, monday: str) -> None:
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={monday}")
    x, y = place_of(page, 14)

    page.mouse.click(x, y + 14)

    dialog = page.get_by_role("dialog", name="Appointment")
    expect(dialog.get_by_label("Start", exact=True)).to_have_value("14:00")
    expect(dialog.get_by_label("Date", exact=True)).to_have_value(monday)
    dialog.get_by_label("Kind").select_option(label="Meeting")
    dialog.get_by_label("Title").fill("Lunch with Ada")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()
    booked = page.locator(".event-button", has_text="Lunch with Ada")
    expect(booked).to_contain_text("2:00 – 2:50 PM")


def test_a_stretch_is_booked_by_drawing_it(page: Page, monday: str) -> None:
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={monday}")
    x, y = place_of(page, 9)

    page.mouse.move(x, y + 4)
    page.mouse.down()
    page.mouse.move(x, y + 40, steps=4)
    page.mouse.move(x, y + 80, steps=4)
    page.mouse.up()

    dialog = page.get_by_role("dialog", name="Appointment")
    expect(dialog.get_by_label("Start", exact=True)).to_have_value("09:00")
    expect(dialog.get_by_label("Minutes")).to_have_value("90")


@pytest.mark.bar("M6")
def test_the_dialog_works_by_keyboard_alone(practice: Product, page: Page, monday: str) -> None:
    number = book(practice, f"{monday}T10:00")
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    drawn(page, number).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Appointment")
    expect(dialog.get_by_label("Minutes")).to_have_value("50")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(drawn(page, number)).to_be_focused()

    page.keyboard.press("Enter")
    dialog.get_by_label("Minutes").fill("80")
    dialog.get_by_role("button", name="Save").press("Enter")
    expect(dialog).to_be_hidden()
    expect(drawn(page, number)).to_contain_text("10:00 – 11:20 AM")
    expect(drawn(page, number)).to_be_focused()


def test_what_was_typed_is_not_lost_by_a_slip(page: Page, monday: str) -> None:
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    page.keyboard.press("n")
    dialog = page.get_by_role("dialog", name="Appointment")
    note = dialog.get_by_label("Private note")
    note.fill("Came late")

    for way in ("Escape", "Close"):
        if way == "Escape":
            page.keyboard.press("Escape")
        else:
            dialog.get_by_label("Close").click()
        expect(dialog.get_by_role("alert")).to_contain_text("not saved yet")
        dialog.get_by_role("button", name="Go on").click()
        expect(note).to_have_value("Came late")

    page.keyboard.press("Escape")
    dialog.get_by_role("button", name="Discard it").click()
    expect(dialog).to_be_hidden()


def test_a_cancelled_one_is_struck_through_and_stays_where_it_is(
    practice: Product, page: Page, monday: str
) -> None:
    number = book(practice, f"{monday}T10:00")
    practice.command("appointments", "cancel", number)
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    expect(drawn(page, number)).to_contain_text("Cancelled")
    expect(drawn(page, number).locator(".event-title")).to_have_css(
        "text-decoration-line", "line-through"
    )

    drag(page, drawn(page, number), 0, HOUR)

    page.reload()
    expect(drawn(page, number)).to_contain_text("10:00 – 10:50 AM")


def test_a_phone_begins_with_the_agenda(practice: Product, open_page: OpenPage) -> None:
    page = open_page(**PHONE, base_url=practice.url)
    steps.sign_in(page, OWN)
    expect(page.locator(".agenda-day")).to_have_count(7)
    expect(page.locator(".ec-main")).to_have_count(0)

    page.locator(".schedule-view summary").click()
    page.locator(".schedule-view").get_by_role("link", name="Day", exact=True).click()
    expect(page.locator(".ec-main")).to_be_visible()
    expect(page.locator("#agenda")).to_be_hidden()


@pytest.mark.parametrize("view", ["day", "team", "week", "work-week", "month", "agenda"])
def test_nothing_sticks_out_on_a_small_phone(
    practice: Product, open_page: OpenPage, view: str
) -> None:
    small = PHONE | {"viewport": looks.SMALL_PHONE}
    page = open_page(**small, base_url=practice.url)
    steps.sign_in(page, SCHEDULER)
    page.goto(f"/calendar?view={view}")
    expect(page.locator(".agenda" if view == "agenda" else ".ec-main").first).to_be_visible()

    assert page.evaluate(looks.STICKS_OUT) == []
    bar = page.locator(".schedule-bar").bounding_box()
    assert bar is not None
    assert bar["height"] < 110  # two lines


def test_a_tap_on_a_phone_opens_and_a_tap_on_a_gap_books(
    practice: Product, open_page: OpenPage, monday: str
) -> None:
    number = book(practice, f"{monday}T10:00")
    page = open_page(**PHONE, base_url=practice.url)
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={monday}")
    drawn(page, number).tap()
    dialog = page.get_by_role("dialog", name="Appointment")
    expect(dialog.get_by_label("Start", exact=True)).to_have_value("10:00")
    dialog.get_by_label("Close").tap()
    expect(dialog).to_be_hidden()

    page.touchscreen.tap(*place_of(page, 12.2))

    expect(dialog.get_by_label("Start", exact=True)).to_have_value("12:00")


def test_what_is_held_on_a_phone_can_be_dragged(
    practice: Product, open_page: OpenPage, monday: str
) -> None:
    number = book(practice, f"{monday}T10:00")
    page = open_page(**PHONE, base_url=practice.url)
    steps.sign_in(page, OWN)
    look(page, f"view=day&date={monday}")
    x, y = place_of(page, 10.2)
    finger = page.context.new_cdp_session(page)

    def touch(kind: str, *points: dict[str, float]) -> None:
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    expect(page.locator(".ec-preview")).to_be_visible()
    for moved in range(8, HOUR + 1, 8):
        touch("touchMove", {"x": x, "y": y + moved})
    touch("touchEnd")

    expect(drawn(page, number)).to_contain_text("11:00 – 11:50 AM")


@pytest.mark.bar("I6")
def test_a_hostile_name_is_drawn_as_text(practice: Product, page: Page, monday: str) -> None:
    name = '"><img src=x onerror=alert(1)> Smith'
    number = book(practice, f"{monday}T10:00", client=name)
    steps.sign_in(page, OWN)

    for view in ("day", "week", "month"):
        look(page, f"view={view}&date={monday}")
        expect(drawn(page, number).locator(".event-title")).to_have_text(name)
        drawn(page, number).hover()
        assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("view", ["day", "team", "week", "work-week", "month", "agenda"])
def test_nothing_is_wrong_with_the_view(page: Page, view: str) -> None:
    steps.sign_in(page, SCHEDULER)
    page.goto(f"/calendar?view={view}")
    shown = ".agenda-item" if view == "agenda" else ".ec-main"
    expect(page.locator(shown).first).to_be_visible()
    page.wait_for_load_state("networkidle")

    assert looks.wrongs(page) == []


@pytest.mark.bar("M6")
def test_nothing_is_wrong_with_what_opens_in_it(practice: Product, page: Page, monday: str) -> None:
    number = book(practice, f"{monday}T10:00")
    steps.sign_in(page, SCHEDULER)
    look(page, f"view=week&date={monday}")
    found = {}
    page.locator(".picker summary").click()
    found["the picker"] = looks.wrongs(page)
    page.set_viewport_size(DESKTOP["viewport"])
    page.keyboard.press("Escape")
    drawn(page, number).click()
    expect(page.get_by_role("dialog").get_by_label("Minutes")).to_be_visible()
    found["the dialog"] = looks.wrongs(page)
    page.set_viewport_size(DESKTOP["viewport"])
    page.get_by_role("dialog").get_by_label("Minutes").fill("60")
    page.keyboard.press("Escape")
    found["the question"] = looks.wrongs(page)
    page.set_viewport_size(DESKTOP["viewport"])
    page.get_by_role("button", name="Discard it").click()
    page.goto("/calendar?view=month")
    page.get_by_text(re.compile(r"^\+\d+ more$")).first.click()
    expect(page.locator(".ec-popup")).to_be_visible()
    page.evaluate(AXE_SCRIPT)
    found["a full day"] = looks.axe(page, "light, desk")

    assert {state: wrongs for state, wrongs in found.items() if wrongs} == {}


def test_without_script_there_is_the_agenda(practice: Product, open_page: OpenPage) -> None:
    page = open_page(base_url=practice.url, java_script_enabled=False)
    steps.sign_in(page, SCHEDULER)
    expect(page.locator(".agenda-day")).to_have_count(7)
    page.get_by_label("Go to").fill("2031-07-04")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Nothing planned in these days")).to_be_visible()
    assert asked(page)["date"] == ["2031-07-04"]
    page.get_by_role("link", name="Earlier").click()
    assert asked(page)["date"] == ["2031-06-27"]


def test_paper_shows_the_view_alone(practice: Product, page: Page, monday: str) -> None:
    number = book(practice, f"{monday}T10:00")
    steps.sign_in(page, OWN)
    look(page, f"view=week&date={monday}")
    page.emulate_media(media="print")

    expect(drawn(page, number)).to_be_visible()
    expect(title(page)).to_be_visible()
    for needless in (".topbar", ".schedule-bar", "#new-appointment", ".footer"):
        expect(page.locator(needless)).to_be_hidden()
