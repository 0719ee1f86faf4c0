"""Secrets at rest: AES-256-GCM, each bound to the row that it belongs to."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sync_ui.models import installation


def seal(text: str, bound_to: str) -> bytes:
    nonce = os.urandom(12)
    cipher = AESGCM(installation.current().keys.token)
    return nonce + cipher.encrypt(nonce, text.encode(), bound_to.encode())


def unseal(sealed: bytes, bound_to: str) -> str:
    """Raises cryptography's InvalidTag for a copy that was moved to another row.

    While keys are rotated, and after an older backup was put back, some are
    sealed with a key that came before.
    """
    key, *older = installation.current().keys.ring("token")
    for earlier in older:
        try:
            return _open(key, sealed, bound_to)
        except InvalidTag:
            key = earlier
    return _open(key, sealed, bound_to)


def is_current(sealed: bytes, bound_to: str) -> bool:
    """Whether the key in use opens it."""
    try:
        _open(installation.current().keys.token, sealed, bound_to)
    except InvalidTag:
        return False
    return True


def _open(key: bytes, sealed: bytes, bound_to: str) -> str:
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], bound_to.encode()).decode()
