"""Second factors with a real browser: an app's codes, and a passkey of the browser's own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import CDPSession, Page, expect
from sqlalchemy import update

from sync_ui.models import Session, database, keys
from tests.browser import Faults, OpenPage
from tests.journeys import looks, steps
from tests.journeys.conftest import Fill
from tests.journeys.product import Product, running
from tests.security_key import app_code

pytestmark = pytest.mark.bar("A7")

CLINICIAN = "clinician@demo.example"
ADMINISTRATOR = "admin@demo.example"

# What a laptop with a fingerprint reader has built in.
BUILT_IN = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def local(tmp_path: Path, fill: Fill) -> Iterator[Product]:
    """A demo at a name for which browsers make passkeys without https."""
    product = Product(tmp_path)
    product._environment["SYNC_BASE_URL"] = address(product)
    fill(product, 1, 2)
    yield from running(product)


def address(product: Product) -> str:
    return f"http://localhost:{product.port}"


def with_authenticator(page: Page) -> tuple[CDPSession, str]:
    """The page's browser has an authenticator from now on."""
    tools = page.context.new_cdp_session(page)
    tools.send("WebAuthn.enable")
    made: dict[str, Any] = tools.send("WebAuthn.addVirtualAuthenticator", {"options": BUILT_IN})
    return tools, made["authenticatorId"]


def sign_in_by_password(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def six_minutes_pass(product: Product) -> None:
    """Since anybody showed a password or a passkey."""
    key = keys.load(product.data_dir).database
    engine = database.make_engine(product.data_dir, None, key)
    shown = datetime.now(UTC) - timedelta(minutes=6)
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        connection.execute(update(Session).values(confirmed_at=shown))
    engine.dispose()


def sign_out(page: Page) -> None:
    page.get_by_label("Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in", level=1)).to_be_visible()


def scanned(page: Page) -> str:
    """The secret that an app finds in the picture on the screen."""
    drawn = page.get_by_role("img", name="QR code for your authenticator app")
    found = urlsplit(steps.scan(drawn))
    asked = parse_qs(found.query)
    assert (found.scheme, found.netloc) == ("otpauth", "totp")
    assert (asked["digits"], asked["period"], asked["algorithm"]) == (["6"], ["30"], ["SHA1"])
    (secret,) = asked["secret"]
    assert page.get_by_label("Key to type in").input_value().replace(" ", "") == secret
    return secret


def add_app(page: Page) -> tuple[str, list[str]]:
    """The secret in the app, and the recovery codes that were shown."""
    page.goto("/account/factors")
    page.get_by_role("button", name="Add an app").click()
    secret = scanned(page)
    page.get_by_label("Code that the app shows").fill(app_code(secret, datetime.now(UTC)))
    page.get_by_role("button", name="Add the app").click()
    steps.sees(page, "They are shown only now.")
    return secret, page.locator("main code").all_inner_texts()


def next_code(secret: str) -> str:
    """The one after the present, since each works once."""
    return app_code(secret, datetime.fromtimestamp(datetime.now(UTC).timestamp() + 30, UTC))


def test_an_app_is_added_by_its_qr_code_and_asked_for_at_the_next_sign_in(
    local: Product, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("422")
    page = open_page(base_url=address(local), reduced_motion="reduce")
    steps.sign_in(page, CLINICIAN)
    secret, codes = add_app(page)
    assert len(set(codes)) == 10

    sign_out(page)
    sign_in_by_password(page, CLINICIAN)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.goto("/clients")
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_label("Code from your app").fill("000000")
    page.get_by_role("button", name="Go on").click()
    steps.sees(page, "This code is not right, or was used already.")
    page.get_by_label("Code from your app").fill(next_code(secret))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()

    sign_out(page)
    sign_in_by_password(page, CLINICIAN)
    page.get_by_text("Lost your phone?").click()
    page.get_by_label("Recovery code", exact=True).fill(codes[0])
    page.get_by_role("button", name="Use the recovery code").click()
    expect(page.get_by_role("heading", name="Schedule", level=1)).to_be_visible()
    page.goto("/account/factors")
    steps.sees(page, "9 codes are left")


def test_a_passkey_is_made_and_signs_in_with_and_without_the_password(
    local: Product, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("403")
    faults.forgive("422")
    page = open_page(base_url=address(local), reduced_motion="reduce")
    with_authenticator(page)
    steps.sign_in(page, CLINICIAN)
    page.goto("/account/factors")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name of the passkey").fill("Work laptop")
    page.get_by_role("button", name="Add the passkey").click()
    steps.sees(page, "The passkey is added.")
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator(".row-title")).to_have_text("Work laptop")

    sign_out(page)
    sign_in_by_password(page, CLINICIAN)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Schedule", level=1)).to_be_visible()

    sign_out(page)
    page.goto("/sign-in?next=/clients")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()

    six_minutes_pass(local)
    page.goto("/account/factors/passkey")
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    assert looks.wrongs(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("button", name="Add the passkey").click()
    steps.sees(page, "This device has a passkey for your account already.")
    page.goto("/account/factors")
    page.get_by_role("button", name="Remove", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Remove", exact=True).click()
    steps.sees(page, "The passkey is removed")
    sign_out(page)
    page.get_by_role("button", name="Use a passkey").click()
    steps.sees(page, "This passkey does not open an account here.")


def test_a_browser_that_finds_out_nothing_of_its_user_makes_no_passkey(
    local: Product, open_page: OpenPage
) -> None:
    page = open_page(base_url=address(local), reduced_motion="reduce")
    tools, authenticator = with_authenticator(page)
    steps.sign_in(page, CLINICIAN)
    tools.send(
        "WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False}
    )

    page.goto("/account/factors/passkey")
    page.get_by_role("button", name="Add the passkey").click()

    steps.sees(page, "No passkey was used")
    page.goto("/account/factors")
    expect(page.get_by_role("heading", name="Recovery codes")).to_have_count(0)


def test_whoever_must_have_a_factor_sets_it_up_first(local: Product, open_page: OpenPage) -> None:
    ada = open_page(base_url=address(local), reduced_motion="reduce")
    steps.sign_in(ada, ADMINISTRATOR)
    ada.goto("/settings/sign-in")
    ada.get_by_label("Clinicians").check()
    ada.get_by_role("button", name="Save").click()
    steps.sees(ada, "Saved.")

    page = open_page(base_url=address(local), reduced_motion="reduce")
    sign_in_by_password(page, CLINICIAN)
    steps.sees(page, "Your practice asks for a second factor.")
    page.goto("/clients")
    steps.sees(page, "Your practice asks for a second factor.")
    add_app(page)
    page.goto("/clients")

    expect(page.get_by_role("heading", name="Clients", level=1)).to_be_visible()


@pytest.mark.bar("M6")
def test_nothing_is_wrong_with_the_pages_of_second_factors(
    local: Product, open_page: OpenPage, faults: Faults
) -> None:
    faults.forgive("409")
    page = open_page(base_url=address(local), reduced_motion="reduce")
    with_authenticator(page)
    steps.sign_in(page, ADMINISTRATOR)
    found = {}
    for path in ("/account/factors", "/account/factors/passkey", "/settings/sign-in"):
        page.goto(path)
        found[path] = looks.wrongs(page)
    page.get_by_label("Administrators").check()
    page.get_by_role("button", name="Save").click()
    steps.sees(page, "This holds for you, too")
    found["the warning before"] = looks.wrongs(page)
    page.goto("/account/factors")
    page.get_by_role("button", name="Add an app").click()
    found["an app"] = looks.wrongs(page)
    add_app(page)
    found["recovery codes"] = looks.wrongs(page)
    page.goto("/account/factors/passkey")
    page.get_by_role("button", name="Add the passkey").click()
    steps.sees(page, "The passkey is added.")
    found["all of them"] = looks.wrongs(page)
    sign_out(page)
    found["signing in"] = looks.wrongs(page)
    sign_in_by_password(page, ADMINISTRATOR)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    found["the second step"] = looks.wrongs(page)

    assert {state: wrongs for state, wrongs in found.items() if wrongs} == {}
