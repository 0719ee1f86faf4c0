"""The Sync Calendar page: with the mouse, with the keyboard alone, and without script."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import Faults, OpenPage
from tests.journeys import steps
from tests.journeys.product import Product


@pytest.fixture
def page(demo: Product, clinician: str, open_page: OpenPage) -> Page:
    """A clinician's Sync Calendar; nothing is allowed yet."""
    page = open_page(base_url=demo.url)
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    return page


def test_full_names_leave_only_once_someone_has_confirmed(
    demo: Product, page: Page, faults: Faults
) -> None:
    link = steps.allow(page)
    initials = steps.previewed(page)
    display = page.locator("#display")
    warning = display.get_by_text("a client’s full name there is a HIPAA violation")
    expect(warning).to_be_hidden()
    steps.choose(page, "Use Full Name")
    full_names = steps.previewed(page)
    expect(warning).to_be_visible()

    faults.forgive("409")
    page.get_by_role("button", name="Save how names show").click()
    expect(display.get_by_text("Confirm that yours has one.")).to_be_visible()
    confirmed = display.get_by_label("The calendar service has an agreement")
    expect(confirmed).to_be_focused()
    assert demo.read(link).titles_ahead()[:5] == initials

    confirmed.check()
    steps.save(page)
    assert demo.read(link).titles_ahead()[:5] == full_names != initials


@pytest.mark.bar("M6", "L3")
def test_unticking_asks_before_it_turns_links_off_and_ticking_again_makes_a_new_one(
    demo: Product, page: Page
) -> None:
    first = steps.allow(page)
    box = page.get_by_label(steps.ALLOW)
    question = page.locator("#allow").get_by_role("alert")
    box.uncheck()
    expect(question).to_contain_text("Every link of this calendar is turned off.")
    page.get_by_role("link", name="Keep it as it is").click()
    expect(question).to_be_hidden()
    expect(box).to_be_checked()
    assert demo.read(first).titles() != [steps.NOTICE]

    box.uncheck()
    question.get_by_role("button", name="Disable Access").click()
    steps.sees(page, "Access is disabled: no link works any more.")
    expect(box).not_to_be_checked()
    assert demo.read(first).titles() == [steps.NOTICE]

    second = steps.allow(page)
    assert second != first
    assert demo.read(second).titles() != [steps.NOTICE]
    assert demo.read(first).titles() == [steps.NOTICE]


def test_every_link_has_its_own_mode_and_is_reset_alone(demo: Product, page: Page) -> None:
    first = steps.allow(page)
    page.get_by_text("Add a link for another device or person").click()
    page.get_by_label("Name of the link").fill("Zoë’s tablet")
    page.locator("#new-mode").select_option("Busy only")
    page.get_by_role("button", name="Add link").click()
    steps.sees(page, "The link “Zoë’s tablet” is ready.")
    second = steps.link(page)
    initials = demo.read(first).entries()
    assert set(demo.read(second).titles()) == {"Busy"}
    assert "Busy" not in {entry.title for entry in initials}

    steps.confirm(page, "Reset Access")
    steps.sees(page, "Access is reset")
    assert demo.read(second).titles() == [steps.NOTICE]
    assert set(demo.read(steps.link(page)).titles()) == {"Busy"}
    assert demo.read(first).entries() == initials

    page.get_by_role("link", name="Show My calendar app").click()
    expect(page.locator("#link-https")).to_have_value(first)
    page.reload()
    assert steps.link(page) == first


def test_everything_works_without_script(
    demo: Product, clinician: str, open_page: OpenPage
) -> None:
    page = open_page(base_url=demo.url, java_script_enabled=False)
    steps.sign_in(page, clinician)
    steps.open_own_sync_calendar(page)
    page.get_by_label(steps.ALLOW).check()
    page.locator("#allow").get_by_role("button", name="Save").click()
    steps.sees(page, "This calendar can be read outside now.")
    link = steps.link(page)

    page.get_by_role("radio", name="Use First Name").check()
    steps.save(page)
    assert demo.read(link).titles_ahead()[:5] == steps.previewed(page)

    code = steps.draw_qr_code(page)
    assert code.startswith(f"{demo.url}/add/")
    page.get_by_role("button", name="Email link").click()
    mailto = page.get_by_role("link", name="Open your mail program").get_attribute("href")
    assert mailto is not None
    assert mailto.startswith(f"mailto:{clinician.replace('@', '%40')}?subject=")

    steps.confirm(page, "Reset Access")
    steps.sees(page, "Access is reset")
    new_link = steps.link(page)
    assert demo.read(link).titles() == [steps.NOTICE]
    assert demo.read(new_link).titles_ahead()[:5] == steps.previewed(page)

    steps.confirm(page, "Disable Access")
    steps.sees(page, "Access is disabled: no link works any more.")
    assert demo.read(new_link).titles() == [steps.NOTICE]


@pytest.mark.bar("M6")
def test_the_keyboard_is_enough(demo: Product, clinician: str, open_page: OpenPage) -> None:
    page = open_page(base_url=demo.url)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in_by_keyboard(page, clinician)
    open_own_sync_calendar_by_keyboard(page)

    press(page, page.get_by_label(steps.ALLOW), "Space")
    expect(page.locator("#allow").get_by_role("status")).to_be_focused()
    initials = steps.previewed(page)
    press(page, page.get_by_role("radio", name="Use Initials"), "ArrowDown")
    expect(page.get_by_role("radio", name="Use First Name")).to_be_focused()
    expect(steps.preview(page).get_by_text("Not saved yet.")).to_be_visible()
    press(page, page.get_by_role("button", name="Save how names show"))
    expect(page.locator("#display").get_by_role("status")).to_be_focused()

    first = copy_link(page)
    assert demo.read(first).titles_ahead()[:5] == steps.previewed(page) != initials

    reset = page.get_by_role("button", name="Reset Access").first
    press(page, reset)
    asking = page.get_by_role("dialog")
    expect(asking).to_be_visible()
    page.keyboard.press("Escape")
    expect(asking).to_be_hidden()
    expect(reset).to_be_focused()
    assert demo.read(first).titles() != [steps.NOTICE]

    press(page, reset)
    press(page, asking.get_by_role("button", name="Reset Access"))
    expect(page.locator("#link").get_by_role("status")).to_be_focused()
    assert demo.read(first).titles() == [steps.NOTICE]
    assert demo.read(copy_link(page)).titles_ahead()[:5] == steps.previewed(page)


def sign_in_by_keyboard(page: Page, email: str) -> None:
    page.goto("/sign-in")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(email)
    go_to(page, page.get_by_label("Password"))
    page.keyboard.type(steps.PASSWORD)
    page.keyboard.press("Enter")


def open_own_sync_calendar_by_keyboard(page: Page) -> None:
    press(page, page.locator("summary[aria-label^='Your menu']"))
    menu = page.get_by_role("banner").locator("details[open]")
    press(page, menu.get_by_role("link", name="Sync Calendar"))


def copy_link(page: Page) -> str:
    press(page, page.get_by_role("button", name="Copy link"))
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied: str = page.evaluate("navigator.clipboard.readText()")
    return copied


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    go_to(page, target)
    page.keyboard.press(key)


def go_to(page: Page, target: Locator) -> None:
    """With the Tab key; what has the focus must be in sight."""
    expect(target).to_be_visible()
    for _ in range(60):
        if target.evaluate("each => each === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(target).to_be_focused()
    expect(target).to_be_in_viewport()
