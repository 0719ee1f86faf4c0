"""Letters: a new address of one's own is proved, and a link goes to oneself."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser import PHONE, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.mailbox import Mailbox, mailbox
from tests.journeys.product import Product, running, until


@pytest.fixture
def post() -> Iterator[Mailbox]:
    with mailbox() as found:
        yield found


@pytest.fixture
def mailing(tmp_path: Path, post: Mailbox, fill: Fill) -> Iterator[Product]:
    """A demo that has a mail server."""
    settings = {"SYNC_SMTP_URL": post.url, "SYNC_MAIL_FROM": "calendar@practice.example"}
    product = Product(tmp_path, **settings)
    fill(product, 1, 2)
    yield from running(product)


@pytest.mark.bar("A8", "M6")
def test_a_new_address_counts_once_its_letter_is_answered(
    mailing: Product, post: Mailbox, open_page: OpenPage
) -> None:
    page = open_page(base_url=mailing.url)
    steps.sign_in(page, "scheduler@demo.example")
    page.goto("/account")
    page.get_by_label("New e-mail address").fill("sam@demo.example")
    page.get_by_role("button", name="Change address").click()
    steps.sees(page, "A letter is on its way to sam@demo.example")
    wrongs = {"a letter on its way": looks.wrongs(page)}
    until(lambda: len(post.letters) > 0)
    (address,) = re.findall(r"https?://\S+", post.letters[0].message.get_content())

    phone = open_page(**PHONE)
    phone.goto(address)
    steps.sees(phone, "Somebody asked to sign in")
    wrongs["a stranger's look"] = looks.wrongs(phone)
    phone.get_by_role("link", name="Sign in").click()
    phone.get_by_label("E-mail address").fill("scheduler@demo.example")
    phone.get_by_label("Password", exact=True).fill(steps.PASSWORD)
    phone.get_by_role("button", name="Sign in", exact=True).click()
    wrongs["its own page"] = looks.wrongs(phone)
    phone.get_by_role("button", name="Use this address").click()
    steps.sees(phone, "Your e-mail address is changed.")

    page.get_by_role("link", name="Look again").click()
    expect(page.locator("dd", has_text="sam@demo.example")).to_be_visible()
    assert {state: found for state, found in wrongs.items() if found} == {}
    until(lambda: len(post.letters) > 1)
    to = [letter.recipients for letter in post.letters]
    assert to == [["sam@demo.example"], ["scheduler@demo.example"]]


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
