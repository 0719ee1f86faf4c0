"""A way in by a code on paper, and a page that clears itself when its session is over."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.product import Product

NEW = "heron copper lattice"


@pytest.mark.bar("A8")
def test_a_new_user_comes_in_with_a_code_on_paper(
    product: Product, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("410")
    product.command("demo", "--password", steps.PASSWORD, "--clinicians", "1", "--weeks", "2")
    admin = open_page(base_url=product.url)
    steps.sign_in(admin, "admin@demo.example")
    admin.goto("/people/new")
    admin.get_by_label("Name").fill("Nora Quist")
    admin.get_by_label("E-mail address").fill("nora@example.com")
    admin.get_by_label("Role", exact=True).select_option("scheduler")
    admin.get_by_role("button", name="Add user").click()
    code = admin.locator("#code").inner_text()
    wrongs = {"the sheet": looks.wrongs(admin)}

    nora = open_page(base_url=product.url)
    nora.goto("/enter")
    wrongs["where it is typed"] = looks.wrongs(nora)
    nora.get_by_label("Code").fill(f" {code.upper()} ")
    nora.get_by_role("button", name="Go on").click()
    expect(nora.get_by_text("nora@example.com")).to_be_visible()
    wrongs["the ticket"] = looks.wrongs(nora)
    nora.reload()  # looking spends nothing
    entered = nora.url
    nora.get_by_label("New password", exact=True).fill(NEW)
    nora.get_by_label("New password again").fill(NEW)
    nora.get_by_label("Show what I type").check()
    expect(nora.get_by_label("New password again")).to_have_attribute("type", "text")
    nora.get_by_role("button", name="Set the password").click()
    steps.sees(nora, "Your password is set.")
    steps.sign_in(nora, "nora@example.com", NEW)

    nora.goto(entered)
    steps.sees(nora, "This address was used already")
    wrongs["a dead one"] = looks.wrongs(nora)
    nora.goto("/forgotten")
    steps.sees(nora, "Ask an administrator of your practice")
    wrongs["a forgotten password"] = looks.wrongs(nora)
    assert {page: found for page, found in wrongs.items() if found} == {}


@pytest.mark.bar("A2", "A3")
def test_a_page_left_open_clears_itself_when_its_session_is_over(
    demo: Product, clinician: str, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("401")
    left = open_page(base_url=demo.url)
    left.clock.install()
    steps.sign_in(left, clinician)
    left.goto("/clients")
    names = left.locator("tbody th").all_inner_texts()
    assert len(names) > 10
    left.clock.fast_forward("15:10")  # asked, and the server's own clock says: not yet
    expect(left.locator("tbody th").first).to_be_visible()

    here = open_page(base_url=demo.url)
    steps.sign_in(here, clinician)
    here.goto("/account")
    expect(here.get_by_text(re.compile("^Chrome on"))).to_have_count(2)
    here.get_by_role("button", name="End all others").click()
    steps.sees(here, "You are signed out everywhere else.")
    left.clock.fast_forward("15:10")

    expect(left.get_by_role("heading", name="Sign in")).to_be_visible()
    left.go_back()
    expect(left.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [name for name in names if name in left.content()] == []
