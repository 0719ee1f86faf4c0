"""Signing out, and what a power cut leaves."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import OpenPage
from tests.journeys import steps
from tests.journeys.product import Product


@pytest.mark.bar("A2", "A3", "M5")
def test_after_sign_out_neither_the_back_button_nor_a_copied_cookie_opens_anything(
    demo: Product, clinician: str, open_page: OpenPage
) -> None:
    page = open_page(base_url=demo.url)
    steps.sign_in(page, clinician)
    page.goto("/clients")
    names = page.locator("tbody th").all_inner_texts()
    assert len(names) > 10
    thief = open_page(base_url=demo.url)
    thief.context.add_cookies(page.context.cookies())  # type: ignore[arg-type]
    thief.goto("/clients")
    assert thief.locator("tbody th").all_inner_texts() == names

    page.get_by_label(re.compile("^Your menu")).click()
    page.get_by_role("button", name="Sign out").click()
    for back in (lambda: None, page.go_back, page.go_back):
        back()
        expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        assert [name for name in names if name in page.content()] == []

    thief.goto("/clients")
    expect(thief.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.bar("D2", "D9")
def test_a_killed_server_leaves_nobody_behind_and_forgets_nothing(
    product: Product, open_page: OpenPage
) -> None:
    product.command("demo", "--password", steps.PASSWORD, "--clinicians", "1", "--weeks", "2")
    page = open_page(base_url=product.url)
    steps.sign_in(page, "clinician@demo.example")
    steps.open_own_sync_calendar(page)
    reset = steps.allow(page)
    steps.confirm(page, "Reset Access")
    steps.sees(page, "Access is reset")
    link = steps.link(page)
    before = product.read(link)
    steps.choose(page, "Use First Name")
    steps.save(page)

    product.kill()
    product.start()

    page.reload()
    assert steps.link(page) == link
    expect(page.get_by_role("radio", name="Use First Name")).to_be_checked()
    after = product.read(link, etag=before.etag)
    assert after.status == 200
    assert after.titles_ahead()[:5] == steps.previewed(page)
    assert product.read(reset).titles() == [steps.NOTICE]
