"""Lists in pages, records that moved, and how often pages ask the database."""

from flask.testing import FlaskClient

from sync_ui.models import transaction
from sync_ui.services import clients, duplicates
from tests import queries
from tests.practice import Book, Practice, csrf_token
from tests.web.test_access import BrowserOf


def add(count: int) -> None:
    with transaction() as session:
        for number in range(count):
            clients.add(session, f"Paula {number:03}", "Smith", internal_id=f"P-{number}")


def linked(browser: FlaskClient, address: str) -> list[str]:
    """The names in the table."""
    rows = browser.get(address).text.split('<th scope="row"><a href="/clients/')[1:]
    return [row.partition(">")[2].partition("<")[0] for row in rows]


def test_a_long_list_comes_in_pages(practice: Practice, browser_of: BrowserOf) -> None:
    add(120)
    browser = browser_of("sam@example.com")
    pages = [linked(browser, f"/clients?q=smith&page={page}") for page in (1, 2, 3)]

    assert [len(page) for page in pages] == [50, 50, 22]
    assert [*pages[0], *pages[1], *pages[2]] == [
        "Jane Smith",
        "Mark Smith",
        *(f"Paula {n:03} Smith" for n in range(120)),
    ]
    assert linked(browser, "/clients?q=smith&page=99") == pages[2]
    assert linked(browser, "/clients?q=smith&page=-1") == pages[0]
    middle = browser.get("/clients?q=smith&page=2").text
    assert "Page 2 of 3" in middle
    assert 'href="/clients?page=3&amp;q=smith"' in middle


def test_an_archived_client_is_in_the_other_list(practice: Practice, browser_of: BrowserOf) -> None:
    browser = browser_of("sam@example.com")
    assert "Jane Smith" in linked(browser, "/clients")
    form = {"csrf_token": csrf_token(browser, "/clients/new")}

    browser.post(f"/clients/{practice.jane}/archive", data=form)

    assert "Jane Smith" not in linked(browser, "/clients")
    assert linked(browser, "/clients?archived=yes") == ["Jane Smith"]


def test_an_old_address_leads_to_the_kept_record(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    with transaction() as session:
        twin = clients.add(session, "Jane", "Smith")
    book(twin.id)
    browser = browser_of("unlu@example.com")
    assert browser.get(f"/clients/{twin.id}").status_code == 200

    duplicates.merge(practice.sam, practice.jane, twin.id)

    assert browser.get(f"/clients/{twin.id}").headers["Location"] == f"/clients/{practice.jane}"
    assert browser_of("anna@example.com").get(f"/clients/{twin.id}").status_code == 404
    merge = f"/clients/{practice.mark}/merge/{twin.id}"
    assert browser_of("sam@example.com").get(merge).status_code == 409


def test_the_record_says_how_many_appointments_stay(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    browser = browser_of("sam@example.com")
    for day, sentence in (
        ("2026-11-24", "One upcoming appointment stays in the schedule"),
        ("2026-11-25", "2 upcoming appointments stay in the schedule"),
    ):
        book(practice.jane, at=f"{day} 10:00")
        assert sentence in browser.get(f"/clients/{practice.jane}").text


def test_pages_ask_as_often_for_many_as_for_few(
    practice: Practice, book: Book, browser_of: BrowserOf
) -> None:
    browser = browser_of("sam@example.com")
    book(practice.jane)
    addresses = (
        "/clients?q=smith",
        f"/clients/{practice.jane}",
        "/clients/duplicates",
        f"/clients/{practice.jane}/merge",
        "/search?q=smith",
        "/export",
    )

    def asked() -> dict[str, int]:
        return {address: queries.number_of(lambda: browser.get(address)) for address in addresses}  # noqa: B023

    asked()
    before = asked()
    add(60)
    with transaction() as session:
        for _ in range(5):
            clients.add(session, "Jane", "Smith")
    for day in range(1, 13):
        book(practice.jane, practice.mark, at=f"2026-12-{day:02} 10:00")

    assert asked() == before
