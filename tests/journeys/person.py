"""Somebody at a browser without pictures, for what many do at once to the running product."""

import re
from html import unescape

import requests

from tests.journeys.steps import PASSWORD
from tests.wire import wire


class Person:
    """Signed in, with cookies of their own; `send` posts a form as its page would."""

    def __init__(self, url: str, email: str, password: str = PASSWORD) -> None:
        self._url = url
        self._browser = wire()
        answer = self.send("/sign-in", page="/sign-in", email=email, password=password)
        assert answer.status_code == 302, answer.text

    def get(self, path: str) -> requests.Response:
        return self._browser.get(self._url + path, allow_redirects=False, timeout=60)

    def send(self, path: str, *, page: str = "/account", **form: object) -> requests.Response:
        token = field(self.get(page).text, "csrf_token")
        data = {"csrf_token": token, **form}
        return self._browser.post(self._url + path, data=data, allow_redirects=False, timeout=60)

    def close(self) -> None:
        self._browser.close()


def field(page: str, name: str) -> str:
    """The value of a form's one-line field, or what its box of text holds."""
    for tag in re.findall(r"<input[^>]*>", page):
        if f'name="{name}"' in tag:
            found = re.search(r'value="([^"]*)"', tag)
            return unescape(found[1]) if found else ""
    box = re.search(rf'<textarea[^>]*name="{name}"[^>]*>\s*([^<]*)</textarea>', page)
    assert box, f"There is no field {name}"
    return unescape(box[1])
