"""People at their browsers: they sign in, look at pages and send forms, as a browser without
script does.
"""

import re
from collections.abc import Mapping
from typing import Any

import requests

from tests.wire import wire

Form = Mapping[str, Any]

SECONDS_TO_ANSWER = 60


class Person:
    """One browser; it signs in when it is asked to."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self.url, self._email, self._password = url, email, password
        self._browser = wire()

    def get(self, path: str) -> requests.Response:
        """The page, as whoever is signed in sees it."""
        answer = self.look(path)
        if _asks_to_sign_in(answer):
            self.sign_in()
            answer = self.look(path)
        return answer

    def look(self, path: str) -> requests.Response:
        """The same without signing in first."""
        return self._browser.get(self.url + path, allow_redirects=False, timeout=SECONDS_TO_ANSWER)

    def post(self, path: str, form: Form) -> requests.Response:
        """What the server says to the form; the sensitive ones ask for the password as well."""
        return self.send(path, self.filled(form))

    def filled(self, form: Form) -> dict[str, Any]:
        """The form as it can be sent: with the page's token against forged requests."""
        token = _token_in(self.get("/account").text)
        return {**form, "csrf_token": token, "confirm_password": self._password}

    def send(self, path: str, filled: Form) -> requests.Response:
        return self._browser.post(
            self.url + path, data=filled, allow_redirects=False, timeout=SECONDS_TO_ANSWER
        )

    def sign_in(self) -> None:
        self._browser.cookies.clear()
        form = {"email": self._email, "password": self._password}
        form["csrf_token"] = _token_in(self.look("/sign-in").text)
        answer = self.send("/sign-in", form)
        assert answer.status_code == 302, answer.text

    def hang_up(self) -> None:
        """Connections to a server that is gone are of no use; cookies stay."""
        self._browser.close()


def _asks_to_sign_in(answer: requests.Response) -> bool:
    return answer.status_code == 302 and "/sign-in" in answer.headers["Location"]


def _token_in(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found, page
    return found[1]
