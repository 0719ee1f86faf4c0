"""Which browser somebody sits at, in words for the person who looks through their sessions."""

import re

UNKNOWN = "Some program"

# The first that fits: most browsers say that they are several others, too.
_BROWSERS = (
    (re.compile(r"\bEdgA?/|\bEdgiOS/"), "Edge"),
    (re.compile(r"\bOPR/"), "Opera"),
    (re.compile(r"\bSamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"\bFirefox/|\bFxiOS/"), "Firefox"),
    (re.compile(r"\bChrome/|\bCriOS/|\bHeadlessChrome/"), "Chrome"),
    (re.compile(r"\bSafari/"), "Safari"),
)

_SYSTEMS = (
    (re.compile(r"\biPhone\b"), "iPhone"),
    (re.compile(r"\biPad\b"), "iPad"),
    (re.compile(r"\bAndroid\b"), "Android"),
    (re.compile(r"\bWindows\b"), "Windows"),
    (re.compile(r"\bMac OS X\b|\bMacintosh\b"), "Mac"),
    (re.compile(r"\bCrOS\b"), "Chromebook"),
    (re.compile(r"\bLinux\b"), "Linux"),
)

# What is longer is no browser's, and is looked at no further.
_LONGEST = 500


def words(user_agent: str) -> str:
    """`Firefox on Windows`; never anything of what a visitor chose to send."""
    said = user_agent[:_LONGEST]
    browser = next((name for shape, name in _BROWSERS if shape.search(said)), None)
    system = next((name for shape, name in _SYSTEMS if shape.search(said)), None)
    if browser is None:
        return f"{UNKNOWN} on {system}" if system else UNKNOWN
    return f"{browser} on {system}" if system else browser
