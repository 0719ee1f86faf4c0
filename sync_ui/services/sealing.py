"""Secrets at rest: AES-256-GCM, each bound to the row that it belongs to."""

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sync_ui.models import installation


def seal(text: str, bound_to: str) -> bytes:
    nonce = os.urandom(12)
    cipher = AESGCM(installation.current().keys.token)
    return nonce + cipher.encrypt(nonce, text.encode(), bound_to.encode())


def unseal(sealed: bytes, bound_to: str) -> str:
    """Raises cryptography's InvalidTag for a copy that was moved to another row."""
    cipher = AESGCM(installation.current().keys.token)
    return cipher.decrypt(sealed[:12], sealed[12:], bound_to.encode()).decode()
