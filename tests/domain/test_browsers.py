"""Browsers in words."""

import pytest

from sync_ui.domain.browsers import words

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"

SAID = {
    f"{MOZILLA} (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0": (
        "Firefox on Windows"
    ),
    f"{MOZILLA} (Macintosh; Intel Mac OS X 10_15_7) {WEBKIT} Chrome/140.0 Safari/537.36": (
        "Chrome on Mac"
    ),
    f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0": "Edge on Windows",
    f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) {WEBKIT} Version/18.0 Safari/604.1": (
        "Safari on iPhone"
    ),
    f"{MOZILLA} (Linux; Android 15; Pixel 9) {WEBKIT} Chrome/140.0 Safari/537.36": (
        "Chrome on Android"
    ),
    "curl/8.5.0": "Some program",
    "": "Some program",
    "<script>alert(1)</script> on Linux": "Some program on Linux",
    "x" * 600 + " Firefox/140.0": "Some program",
}


@pytest.mark.bar("A2")
@pytest.mark.parametrize(("user_agent", "said"), SAID.items())
def test_a_browser_is_named_in_words_of_our_own(user_agent: str, said: str) -> None:
    assert words(user_agent) == said
