"""What people hold in their hands: an app that shows codes, and a key that makes passkeys.

Written from RFC 6238 and WebAuthn, with nothing of the application's.
"""

import hashlib
import hmac
import json
import struct
from base64 import b32decode, urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, NEW = 0x01, 0x04, 0x40


def app_code(secret: str, at: datetime, digits: int = 6) -> str:
    """What an app shows then, for a secret in base32."""
    counter = struct.pack(">Q", int(at.timestamp()) // 30)
    mac = hmac.digest(b32decode(secret), counter, "sha1")
    offset = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


@dataclass
class SecurityKey:
    """One passkey at one site; `verifies` and `count` can be made to misbehave."""

    origin: str = "https://calendar.example.com"
    verifies: bool = True
    count: int = 0
    id: bytes = field(default_factory=lambda: token_bytes(32))
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    handle: bytes | None = None

    def make(self, options: str) -> str:
        """The answer to what a site asks for a new passkey."""
        asked = json.loads(options)
        self.handle = _bytes(asked["user"]["id"])
        attested = b"\0" * 16 + struct.pack(">H", len(self.id)) + self.id + self._public()
        data = self._data(asked["rp"]["id"], NEW) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        client = self._client("webauthn.create", asked["challenge"])
        return self._answer(clientDataJSON=client, attestationObject=attestation)

    def use(self, options: str) -> str:
        """The answer to what a site asks of a passkey that it knows."""
        asked = json.loads(options)
        self.count += 1
        data = self._data(asked["rpId"], 0)
        client = self._client("webauthn.get", asked["challenge"])
        signed = data + hashlib.sha256(client).digest()
        signature = self.private.sign(signed, ec.ECDSA(SHA256()))
        more = {"userHandle": self.handle} if self.handle else {}
        return self._answer(
            clientDataJSON=client, authenticatorData=data, signature=signature, **more
        )

    def _public(self) -> bytes:
        point = self.private.public_key().public_numbers()
        x, y = (number.to_bytes(32) for number in (point.x, point.y))
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})

    def _data(self, site: str, more: int) -> bytes:
        flags = PRESENT | more | (VERIFIED if self.verifies else 0)
        return hashlib.sha256(site.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _answer(self, **parts: bytes) -> str:
        name = _text(self.id)
        response = {part: _text(value) for part, value in parts.items()}
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response})


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
