"""Passwords: what is good enough, and how they are kept."""

import re
import threading
from collections.abc import Iterator

from argon2 import PasswordHasher
from argon2.exceptions import HashingError, InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from sync_ui.domain import folding
from sync_ui.errors import Invalid, Unavailable
from sync_ui.services import practice

SHORTEST = 15
LONGEST = 256

# Powers of ten: the guesses that a password takes, and what is left of it without the words that
# anyone who knows the user would try.
ENOUGH_GUESSES = 9
ENOUGH_BESIDE_CONTEXT = 8

# What of a password is looked at: the time that takes grows with the square of it.
LOOKED_AT = 72

PRODUCT = "Sync Calendar"

# Each takes 64 MB for a moment: more than so many at once wait, whoever asks.
AT_ONCE = 4
LONGEST_WAIT = 20  # seconds

_hasher = PasswordHasher()
_places = threading.BoundedSemaphore(AT_ONCE)

# zxcvbn keeps the words of its latest call for all threads.
_one_at_a_time = threading.Lock()

# Verified for unknown users, so that the answer takes as long as for a known one.
NOBODYS = _hasher.hash("nobody has this password")

# Of a user who has not chosen a password yet: nothing fits it.
NONE_YET = ""


def checked(password: str, *context: str) -> str:
    """Long enough, and not what anyone would try first (ASVS 5.0, 6.2). Raises Invalid.

    `context`: names and addresses that a password of this user must not live from;
    the practice's and the product's names are always among them.
    """
    if len(password) < SHORTEST:
        raise Invalid(f"A password needs at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise Invalid(f"A password can have at most {LONGEST} characters.")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise Invalid("This password holds characters that are no text. Type it again.") from None
    words = sorted(set(_words(*context, practice.get().name, PRODUCT)), key=len, reverse=True)
    folded = beside = folding.folded(password)
    for word in words:
        beside = beside.replace(word, "")
    enough = _guesses(password) >= ENOUGH_GUESSES and _guesses(folded) >= ENOUGH_GUESSES
    if not enough or (beside != folded and _guesses(beside) < ENOUGH_BESIDE_CONTEXT):
        raise Invalid(
            "This password is too easy to guess: it is common, repeats itself, or is made of names "
            "that others know. A few unrelated words are better."
        )
    return password


def hashed(password: str) -> str:
    """Argon2id; takes a moment on purpose, so never call it inside a transaction."""
    with _Place():
        return _hasher.hash(password)


def fits(password_hash: str, password: str) -> bool:
    """Takes as long for a user who has no password, and for a password that none can be."""
    with _Place():
        try:
            _hasher.verify(password_hash or NOBODYS, password[:LONGEST])
        except (VerificationError, InvalidHashError, HashingError, UnicodeEncodeError):
            return False
    return password_hash != NONE_YET and len(password) <= LONGEST


class _Place:
    """One of the few at once. Raises Unavailable after a while without one."""

    def __enter__(self) -> None:
        if not _places.acquire(timeout=LONGEST_WAIT):
            raise Unavailable("Too many people sign in at once. Try again in a minute.")

    def __exit__(self, *_: object) -> None:
        _places.release()


def _words(*texts: str) -> Iterator[str]:
    """The words of names and addresses, without accents, that are long enough to matter."""
    for text in texts:
        yield from (word for word in re.findall(r"\w+", folding.folded(text)) if len(word) > 2)


def _guesses(password: str) -> float:
    if not password:
        return 0
    with _one_at_a_time:
        found: float = zxcvbn(password[:LOOKED_AT])["guesses_log10"]
    return found
