"""Secrets that people carry about: links' tokens, and codes for pages and sessions.

Their alphabet survives mail, print and dictation: lower case only, since mail
providers have lower-cased links, and no 0, 1, i, l or o.
"""

import hashlib
import re
import secrets
from collections.abc import Callable

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"

_TOKEN = 33  # the characters that hold 160 bits
_CODE = 26  # the characters that hold 128 bits

_SECRET = f"[{ALPHABET}]{{{_CODE}}}(?:[{ALPHABET}]{{{_TOKEN - _CODE}}})?"
_IS_SECRET = re.compile(_SECRET).fullmatch
# What mail and hand leave at either end: brackets, quotes, full stops, slashes.
_HOLDS_SECRET = re.compile(rf"[\W_]*({_SECRET})[\W_]*").fullmatch
_LONGEST = 100


def new_token(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A link's secret: 160 bits as 33 characters."""
    return _draw(_TOKEN, random)


def new_code(random: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A code for a phone's page, a session or set-up: 128 bits as 26 characters."""
    return _draw(_CODE, random)


def digest(token: str) -> str:
    """SHA-256 in hex of the token or code as it was issued, however it is spelt here.

    What cannot be a secret of ours is digested as it stands, and so matches none.
    """
    spelt = normalise(token) or token
    return hashlib.sha256(spelt.encode("utf-8", "surrogatepass")).hexdigest()


def normalise(token: str) -> str:
    """The token or code as it was issued, or "" if this cannot be one.

    Mends capitals and whatever mail or hand has put around it, never a character.
    """
    if len(token) > _LONGEST:
        return ""
    found = _HOLDS_SECRET(token.lower())
    return found[1] if found else ""


def well_formed(token: str) -> bool:
    """Whether this is spelt as a token or code is issued."""
    return _IS_SECRET(token) is not None


def _draw(length: int, random: Callable[[int], bytes]) -> str:
    # 12 bytes more than needed make every character as likely as any other,
    # the first one too (to within 2 to the power of -90).
    bits = 8 * (length * 5 // 8 + 12)
    number = int.from_bytes(random(bits // 8)) % len(ALPHABET) ** length
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        text += ALPHABET[digit]
    return text
