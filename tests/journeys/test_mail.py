"""The link by e-mail, to oneself."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, OpenPage
from tests.journeys import steps
from tests.journeys.mailbox import Mailbox, mailbox
from tests.journeys.product import Product, running, until


@pytest.fixture
def post() -> Iterator[Mailbox]:
    with mailbox() as server:
        yield server


@pytest.fixture
def mailing(tmp_path: Path, post: Mailbox) -> Iterator[Product]:
    """A demo that has a mail server."""
    product = Product(tmp_path, SYNC_SMTP_URL=post.url, SYNC_MAIL_FROM="calendar@practice.example")
    product.command("demo", "--password", steps.PASSWORD, "--clinicians", "1", "--weeks", "2")
    yield from running(product)


@pytest.mark.bar("M1", "M2")
def test_the_link_goes_to_ones_own_address_and_opens_the_phones_page(
    mailing: Product, post: Mailbox, open_page: OpenPage
) -> None:
    page = open_page(base_url=mailing.url)
    steps.sign_in(page, "clinician@demo.example")
    steps.open_own_sync_calendar(page)
    link = steps.allow(page)
    page.get_by_role("button", name="Email link").click()
    steps.sees(page, "The link is on its way to your own e-mail address.")
    until(lambda: len(post.letters) > 0)
    (letter,) = post.letters

    assert letter.recipients == [letter.message["To"]] == ["clinician@demo.example"]
    assert letter.message["From"] == "calendar@practice.example"
    assert "/cal/" not in letter.message.as_string()
    addresses = re.findall(r"https?://\S+", letter.message.get_content())
    assert [address.rpartition("/")[0] for address in addresses] == [f"{mailing.url}/add"]

    phone = open_page(**PHONE, user_agent=steps.SAFARI_ON_IPHONE)
    phone.goto(addresses[0])
    phone.get_by_role("button", name="Copy the link").click()
    expect(phone.locator("#link-https")).to_have_value(link)
    mailing.stop()
    assert len(post.letters) == 1
