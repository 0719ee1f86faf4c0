"""Passwords: what is good enough, and how they are kept."""

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sync_ui.errors import Invalid

SHORTEST = 15
LONGEST = 256

_hasher = PasswordHasher()

# Verified for unknown users, so that the answer takes as long as for a known one.
NOBODYS = _hasher.hash("nobody has this password")


def checked(password: str, *context: str) -> str:
    """Long enough, and not what anyone would try first (ASVS 5.0, 6.2). Raises Invalid."""
    if len(password) < SHORTEST:
        raise Invalid(f"A password needs at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise Invalid(f"A password can have at most {LONGEST} characters.")
    known = {part.lower() for part in context}
    if password.lower() in known or len(set(password)) < 5:
        raise Invalid("This password is too easy to guess. A few unrelated words are better.")
    return password


def hashed(password: str) -> str:
    """Argon2id; takes a moment on purpose, so never call it inside a transaction."""
    return _hasher.hash(password)


def fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
