"""Import: a file dropped, accepted, dropped again next week, and taken back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import DESKTOP, PHONE, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

SCHEDULER = "scheduler@demo.example"


@pytest.fixture(scope="module")
def practice_of_two(tmp_path_factory: pytest.TempPathFactory, fill: Fill) -> Iterator[Product]:
    made = Product(tmp_path_factory.mktemp("two"))
    fill(made, 2, 2)
    yield from running(made)


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, practice_of_two: Product, open_page: OpenPage) -> Page:
    device: dict[str, Any] = request.param
    page = open_page(base_url=practice_of_two.url, reduced_motion="reduce", **device)
    steps.sign_in(page, SCHEDULER)
    return page


def sunday(weeks: int = 4) -> datetime:
    """A day on which the demo has nothing."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return today + timedelta(days=6 - today.weekday() + 7 * weeks)


def table(
    rows: int, header: str = "Client,Start,Minutes", first: int = 0, family: str = "Quist"
) -> list[str]:
    lines = [
        f"Visitor{n % 20} {family},{sunday() + timedelta(hours=n):%Y-%m-%d %H:%M},50"
        for n in range(first, first + rows)
    ]
    return [header, *lines]


def drop(page: Page, lines: list[str]) -> None:
    page.goto("/import")
    page.get_by_label("Whose schedule").select_option(index=1)
    page.get_by_label("Calendar file").set_input_files(
        {"name": "week.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    )
    page.get_by_role("button", name="Look at the file").click()


def sees_heading(page: Page, words: str) -> None:
    expect(page.get_by_role("heading", name=words, level=1)).to_be_visible()


def figure(page: Page, word: str) -> str:
    return page.locator(".figure", has_text=word).first.locator("strong").inner_text()


def undo_the_latest(page: Page) -> None:
    page.goto("/import")
    page.get_by_role("button", name="Undo", exact=True).first.click()
    dialog = page.get_by_role("dialog", name="Undo this import?")
    dialog.get_by_role("button", name="Undo the import").click()
    steps.sees(page, "The import is undone; the schedule is as it was before.")


def test_a_file_is_brought_in_kept_in_step_and_taken_back(page: Page) -> None:
    week = table(5)
    drop(page, week)
    sees_heading(page, "What the import would do")
    assert (figure(page, "new"), figure(page, "new clients")) == ("5", "5")
    page.get_by_role("button", name="Import").click()
    steps.sees(page, "Imported: 5 new")

    drop(page, [*week[:3], *week[4:], *table(1, first=7)[1:]])
    assert (figure(page, "unchanged"), figure(page, "missing")) == ("4", "1")
    ticked = page.get_by_label("Visitor2 Quist")
    expect(ticked).not_to_be_checked()
    assert looks.wrongs(page) == []
    ticked.check()
    page.get_by_role("button", name="Import").click()
    steps.sees(page, "Imported: 1 new, 0 changed, 4 unchanged, 1 cancelled")

    undo_the_latest(page)
    undo_the_latest(page)
    assert looks.wrongs(page) == []
    drop(page, week)
    assert (figure(page, "new"), figure(page, "new clients")) == ("5", "5")
    page.get_by_role("button", name="Discard").click()
    steps.sees(page, "The upload is discarded.")


def test_unknown_columns_are_asked_about_once(page: Page) -> None:
    wide = bool(page.viewport_size and page.viewport_size["width"] > 1000)
    header = f"Wer {wide},Wann,Wie lange"
    drop(page, table(3, header, family="Stone"))
    sees_heading(page, "What the columns are")
    assert looks.wrongs(page) == []
    for column, meaning in (("Wer", "Client"), ("Wann", "Start"), ("Wie lange", "Duration")):
        page.get_by_label(column).select_option(meaning)
    page.get_by_role("button", name="Look at the file").click()
    sees_heading(page, "What the import would do")
    assert figure(page, "new") == "3"

    drop(page, table(4, header, family="Stone"))
    sees_heading(page, "What the import would do")
    assert figure(page, "new") == "4"


def test_a_large_file_shows_how_far_it_is(page: Page) -> None:
    drop(page, table(1_500, family="Hill"))
    sees_heading(page, "Reading the file")
    expect(page.get_by_role("heading", name="What the import would do")).to_be_visible(
        timeout=60_000
    )
    assert figure(page, "new") == "1500"
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="The import is done")).to_be_visible(timeout=60_000)
    steps.sees(page, "Imported: 1500 new")
    undo_the_latest(page)
