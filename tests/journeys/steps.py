"""What people do on the pages, in their words."""

import re
from io import BytesIO

import zxingcpp
from PIL import Image
from playwright.sync_api import Locator, Page, expect

PASSWORD = "four unrelated words"

NOTICE = "This calendar link was turned off"

SAFARI_ON_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/26.5 Mobile/15E148 Safari/604.1"
)

ALLOW = "Allow this calendar to sync to an external calendaring application"


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Schedule", level=1)).to_be_visible()


def open_own_sync_calendar(page: Page) -> None:
    """By the user menu."""
    page.get_by_label(re.compile("^Your menu")).click()
    menu = page.get_by_role("banner").locator("details[open]")
    menu.get_by_role("link", name="Sync Calendar", exact=True).click()
    expect(page.get_by_role("heading", name="Sync Calendar", level=1)).to_be_visible()


def sees(page: Page, words: str) -> None:
    """Not what is said to screen readers alone."""
    expect(page.get_by_role("main").get_by_text(words)).to_be_visible()


def allow(page: Page) -> str:
    """Tick, and return the link."""
    page.get_by_label(ALLOW).check()
    sees(page, "This calendar can be read outside now.")
    return link(page)


def link(page: Page) -> str:
    return page.locator("#link-https").input_value()


def choose(page: Page, mode: str) -> None:
    """Choose how names show; the preview follows before anything is saved."""
    page.get_by_role("radio", name=mode).check()
    expect(preview(page).get_by_text("Not saved yet.")).to_be_visible()


def save(page: Page) -> None:
    page.get_by_role("button", name="Save how names show").click()
    sees(page, "Saved. Calendar apps show it when they next look.")


def preview(page: Page) -> Locator:
    return page.get_by_role("region", name="Preview")


def previewed(page: Page) -> list[str]:
    return preview(page).locator(".preview-title").all_inner_texts()


def confirm(page: Page, label: str) -> None:
    """Press a button that first says what it will do, then press it again there."""
    page.get_by_role("button", name=label, exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name=label, exact=True).click()


def draw_qr_code(page: Page) -> str:
    """The address that a camera finds in the picture on the screen."""
    page.get_by_role("button", name="QR code").click()
    return scan(page.get_by_role("img", name="QR code that opens the phone’s page"))


def scan(drawn: Locator) -> str:
    """What a camera reads in it; one that looks for every kind of code finds some in a few dots."""
    picture = Image.open(BytesIO(drawn.screenshot())).convert("L")
    formats = zxingcpp.barcode_formats_from_str("QRCode")
    (code,) = zxingcpp.read_barcodes(picture, formats=formats)
    text: str = code.text
    return text
