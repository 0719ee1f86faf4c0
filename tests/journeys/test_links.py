"""Several links of one calendar: each shows its own, ends alone, and obeys the practice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from icalendar import Calendar
from playwright.sync_api import Page, expect

from tests.browser import PHONE, Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.calendar_app import Reading
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running

IPHONE, OUTLOOK, PARTNER = "Anna’s iPhone", "Office Outlook", "Partner: busy only"


@pytest.fixture
def strict(tmp_path: Path, fill: Fill) -> Iterator[Product]:
    """A practice of its own for whoever changes its policy."""
    product = Product(tmp_path)
    fill(product, 1, 2)
    yield from running(product)


class Links:
    """A clinician's browser, and what apps find at the addresses that it has shown."""

    def __init__(self, page: Page, product: Product) -> None:
        self.page, self.product = page, product
        self.addresses: dict[str, str] = {}

    def add(self, label: str, mode: str) -> None:
        """On the Sync Calendar page; the new link is then the one that is shown."""
        self.page.get_by_text("Add a link for another device or person").click()
        self.page.get_by_label("Name of the link").fill(label)
        self.page.locator("#new-mode").select_option(mode)
        self.page.get_by_role("button", name="Add link").click()
        steps.sees(self.page, f"The link “{label}” is ready.")
        self.addresses[label] = steps.link(self.page)

    def open(self, label: str) -> None:
        """From the list of all links, where one link leads to each one's own page."""
        listed = self.page.get_by_role("list", name="All links of this calendar")
        listed.get_by_role("link", name=label, exact=True).click()
        expect(self.page.get_by_role("heading", name=label, level=1)).to_be_visible()

    def back(self) -> None:
        self.page.get_by_role("main").get_by_role("link", name="Sync Calendar").click()
        expect(self.page.get_by_role("heading", name="Sync Calendar", level=1)).to_be_visible()

    def save(self) -> None:
        self.page.get_by_role("button", name="Save", exact=True).click()
        steps.sees(self.page, "Saved. Calendar apps show it when they next look.")

    def read(self, label: str) -> Reading:
        return self.product.read(self.addresses[label])


def open_links(page: Page, product: Product, clinician: str) -> Links:
    """The three links of a clinician: initials, first names with the type, and busy only."""
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    steps.allow(page)
    found = Links(page, product)
    page.get_by_role("link", name="What else it shows").click()
    page.get_by_label("Name of the link").fill(IPHONE)
    found.save()
    found.addresses[IPHONE] = steps.link(page)
    found.back()
    found.add(OUTLOOK, "Use First Name")
    found.add(PARTNER, "Busy only")
    found.open(OUTLOOK)
    page.get_by_label("Appointment type").check()
    expect(steps.preview(page).get_by_text("Not saved yet.")).to_be_visible()
    expect(page.locator("#preview .disclosed")).to_contain_text(
        "First names, times, location and type"
    )
    found.save()
    found.back()
    return found


def told(reading: Reading, name: str) -> list[str]:
    """One property of every event."""
    return [str(each.get(name, "")) for each in Calendar.from_ical(reading.body).events]


def test_three_links_on_one_calendar_each_show_their_own(
    demo: Product, clinician: str, open_page: OpenPage
) -> None:
    page = open_page(base_url=demo.url, reduced_motion="reduce")
    links = open_links(page, demo, clinician)

    initials, first_names, busy = (links.read(each) for each in (IPHONE, OUTLOOK, PARTNER))

    assert [reading.starts() for reading in (first_names, busy)] == [initials.starts()] * 2
    assert set(busy.titles()) == {"Busy"}
    assert not {"Busy"} & {*initials.titles(), *first_names.titles()}
    assert initials.titles() != first_names.titles()
    assert any(told(first_names, "DESCRIPTION"))
    assert any(told(initials, "LOCATION"))
    assert not any([*told(initials, "DESCRIPTION"), *told(busy, "DESCRIPTION")])
    assert not any(told(busy, "LOCATION"))

    listed = page.get_by_role("list", name="All links of this calendar")
    rows = listed.get_by_role("listitem")
    for row, (label, mode) in enumerate(
        [(IPHONE, "Initials"), (OUTLOOK, "First name"), (PARTNER, "Busy only")]
    ):
        expect(rows.nth(row).locator(".row-title")).to_have_text(f"{label} Works {mode}")
    assert looks.wrongs(page) == []
    links.open(PARTNER)
    assert looks.wrongs(page) == []


def test_the_preview_and_the_sentence_follow_the_form_on_a_phone(
    demo: Product, clinician: str, open_page: OpenPage, faults: Faults
) -> None:
    page = open_page(**PHONE, base_url=demo.url, reduced_motion="reduce")
    links = open_links(page, demo, clinician)
    links.open(IPHONE)
    before = links.read(IPHONE).body
    sentence = page.locator("#preview .disclosed")

    page.get_by_role("radio", name="Busy only").check()
    expect(sentence).to_contain_text("Times of")
    expect(steps.preview(page).locator(".preview-title").first).to_have_text("Busy")
    page.get_by_role("radio", name="Use First Name").check()
    page.get_by_label("Location", exact=True).uncheck()
    expect(sentence).to_contain_text("First names and times of")
    expect(steps.preview(page).locator(".preview-place")).to_have_count(0)
    assert links.read(IPHONE).body == before

    faults.forgive("422")
    page.get_by_label("Months ahead").fill("0")
    page.get_by_label("Name of the link").fill("Work phone")
    expect(page.locator("#preview").get_by_text("Months ahead: From 1 to 24.")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_label("Months ahead")).to_be_focused()
    expect(page.get_by_label("Name of the link")).to_have_value("Work phone")
    expect(page.get_by_role("radio", name="Use First Name")).to_be_checked()
    assert looks.axe_of(page) == []
    assert links.read(IPHONE).body == before

    page.get_by_label("Months ahead").fill("1")
    page.keyboard.press("Enter")
    expect(page.locator("#choices").get_by_role("status")).to_be_focused()
    assert not any(told(links.read(IPHONE), "LOCATION"))
    assert links.read(IPHONE).body != before


@pytest.mark.bar("L3")
def test_a_lost_phone_is_cut_off_alone(demo: Product, clinician: str, open_page: OpenPage) -> None:
    page = open_page(base_url=demo.url, reduced_motion="reduce")
    links = open_links(page, demo, clinician)
    others = {label: links.read(label).body for label in (OUTLOOK, PARTNER)}
    lost = links.addresses[IPHONE]
    shown = links.read(IPHONE).titles()

    links.open(IPHONE)
    page.get_by_role("button", name="Reset Access").first.click()
    asking = page.get_by_role("dialog")
    asking.get_by_label("Why?").select_option("A device was lost or stolen")
    assert looks.axe_of(page) == []
    asking.get_by_role("button", name="Reset Access").click()
    steps.sees(page, "Access is reset: the old link shows no appointment any more.")

    assert demo.read(lost).titles() == [steps.NOTICE]
    assert demo.read(steps.link(page)).titles() == shown
    assert {label: links.read(label).body for label in others} == others


def test_a_fresh_link_for_googles_cache_leaves_the_old_one_its_time(
    demo: Product, clinician: str, open_page: OpenPage
) -> None:
    page = open_page(base_url=demo.url, java_script_enabled=False)
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    page.get_by_label(steps.ALLOW).check()
    page.locator("#allow").get_by_role("button", name="Save").click()
    old = steps.link(page)
    page.get_by_role("link", name="What else it shows").click()

    page.get_by_role("radio", name="Use First Name").check()
    page.get_by_label("Days back").fill("0")
    page.get_by_role("button", name="Save", exact=True).click()
    steps.sees(page, "Saved. Calendar apps show it when they next look.")
    page.get_by_role("button", name="Get a fresh link").click()
    asking = page.get_by_role("dialog")
    asking.get_by_label("The old address works for another").select_option("72 hours")
    asking.get_by_role("button", name="Get a fresh link").click()
    steps.sees(page, "The old one works for 72 hours more.")

    fresh = steps.link(page)
    assert fresh != old
    assert demo.read(fresh).titles() == demo.read(old).titles() != [steps.NOTICE]
    assert demo.read(fresh).titles_ahead()[:5] == steps.previewed(page)


def test_whoever_else_has_a_link_is_shut_out_and_a_note_is_drafted(
    demo: Product, clinician: str, open_page: OpenPage
) -> None:
    page = open_page(base_url=demo.url, reduced_motion="reduce")
    links = open_links(page, demo, clinician)
    links.read(OUTLOOK)

    links.open(OUTLOOK)
    page.get_by_role("link", name="Someone else has this link").click()
    expect(page.get_by_role("heading", name="What the address told")).to_be_visible()
    assert looks.wrongs(page) == []
    steps.confirm(page, "Reset Access")
    expect(page.get_by_role("textbox", name="Draft of the incident note")).to_be_visible()

    assert looks.wrongs(page) == []
    assert links.read(OUTLOOK).titles() == [steps.NOTICE]
    assert links.read(IPHONE).titles() != [steps.NOTICE]


@pytest.mark.bar("F3")
def test_a_tightened_ceiling_holds_at_the_next_fetch_of_every_link(
    strict: Product, open_page: OpenPage
) -> None:
    page = open_page(base_url=strict.url, reduced_motion="reduce")
    links = open_links(page, strict, "clinician@demo.example")
    initials, busy = links.read(IPHONE), links.read(PARTNER)
    assert links.read(OUTLOOK).titles() != initials.titles()

    administrator = open_page(base_url=strict.url)
    steps.sign_in(administrator, "admin@demo.example")
    administrator.goto("/settings/policy")
    administrator.get_by_role("radio", name="Initials").check()
    administrator.get_by_role("button", name="Save", exact=True).click()
    steps.sees(administrator, "Saved.")

    assert links.read(OUTLOOK).titles() == links.read(IPHONE).titles() == initials.titles()
    assert links.read(PARTNER).titles() == busy.titles()
    words = "This link was set to show more (First name); it shows Initials now."
    links.open(OUTLOOK)
    steps.sees(page, words)
    expect(page.get_by_role("radio", name="Use First Name")).to_be_disabled()
    assert looks.wrongs(page) == []
    page.get_by_role("link", name="QR code, e-mail and apps").click()
    steps.sees(page, words)
