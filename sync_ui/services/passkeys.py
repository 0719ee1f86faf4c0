"""Passkeys (WebAuthn Level 3): made and used by a browser, at this installation's own address.

Each counts as both factors, since its device has made sure who holds it.
"""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    parse_authentication_credential_json,
)
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from sync_ui import clock
from sync_ui.config import Config
from sync_ui.errors import Conflict, Invalid, Refused
from sync_ui.models import Challenge, Passkey, User, db, transaction
from sync_ui.models.installation import current
from sync_ui.services import access, factors
from sync_ui.services.audit import Action, record

LIFETIME = timedelta(minutes=5)
LONGEST_ANSWER = 16_000  # characters; a key of RSA with its certificates has 5 000
MOST = 20  # of one user

NOT_TAKEN = "This passkey does not open an account here. Try again, or sign in another way."
TOO_LATE = "The question to your device is no longer open. Try again."

REQUIRED = UserVerificationRequirement.REQUIRED

T = TypeVar("T")


def possible(config: Config | None = None) -> bool:
    """Whether browsers offer passkeys at our address: https with a name, or localhost."""
    url = urlsplit((config or current().config).base_url)
    host = url.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return url.scheme == "https" and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def party() -> tuple[str, str]:
    """The relying party's id and origin, from the configured address alone."""
    url = urlsplit(current().config.base_url)
    port = url.port
    # Browsers leave the scheme's own port out.
    usual = port in {None, {"http": 80, "https": 443}[url.scheme]}
    host = url.hostname or ""
    return host, f"{url.scheme}://{host}" + ("" if usual else f":{port}")


def offer_registration(user: User) -> tuple[str, str]:
    """What the browser is asked for a new passkey (JSON), and the challenge in it."""
    rp_id, _ = party()
    challenge = _issue(_registering(user.id))
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name="Sync Calendar",
        user_id=handle(user.id),
        user_name=user.email,
        user_display_name=user.name,
        challenge=base64url_to_bytes(challenge),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED, user_verification=REQUIRED
        ),
        exclude_credentials=_descriptors(user.id),
    )
    return webauthn.options_to_json(options), challenge


def offer_use(user_id: int | None = None) -> tuple[str, str]:
    """What the browser is asked for a passkey (JSON), and the challenge in it.

    For one of this user, or of anybody.
    """
    return _offer(using(user_id), user_id)


def offer_confirming(user_id: int) -> tuple[str, str]:
    """The same for one of this user, who is signed in and shows it again."""
    return _offer(_confirming(user_id), user_id)


def _offer(purpose: str, user_id: int | None) -> tuple[str, str]:
    rp_id, _ = party()
    challenge = _issue(purpose)
    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=base64url_to_bytes(challenge),
        allow_credentials=_descriptors(user_id) if user_id else None,
        user_verification=REQUIRED,
    )
    return webauthn.options_to_json(options), challenge


def registered(user_id: int, challenge: str, answer: str) -> VerifiedRegistration:
    """The new passkey as the browser has made it; the challenge is spent. Raises Invalid."""
    _take(_registering(user_id), challenge)
    rp_id, origin = party()
    return _checked(
        answer,
        lambda: webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
        ),
        "Your device has made no passkey that can be used here. Try again.",
    )


def add(session: Session, user_id: int, made: VerifiedRegistration, name: str) -> Passkey:
    """In the transaction under way: the user has this passkey. Raises Conflict, Refused."""
    credential_id = bytes_to_base64url(made.credential_id)
    known = select(Passkey.id).where(Passkey.credential_id == credential_id)
    if session.scalar(known) is not None:
        raise Conflict("This passkey is known already.")
    if len(_ids(user_id)) >= MOST:
        raise Refused(f"You have {MOST} passkeys. Remove one that you no longer need.")
    passkey = Passkey(
        user_id=user_id,
        credential_id=credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=name,
        created_at=clock.now(),
    )
    session.add(passkey)
    session.flush()
    return passkey


def take(challenge: str, user_id: int | None = None) -> None:
    """The challenge of `offer_use` is spent, whatever the answer is worth. Raises Invalid."""
    _take(using(user_id), challenge)


def take_confirming(challenge: str, user_id: int) -> None:
    """The same for that of `offer_confirming`."""
    _take(_confirming(user_id), challenge)


def use(session: Session, challenge: str, answer: str, user_id: int | None = None) -> Passkey:
    """In the transaction under way: the passkey, which has answered the challenge just now.

    Of this user, or of anybody who still has access. The same error for whatever is wrong:
    raises Invalid.
    """
    credential = _checked(answer, lambda: _read(answer))
    found = session.scalar(select(Passkey).where(Passkey.credential_id == credential.id))
    if found is None or found.user.disabled_at is not None:
        raise Invalid(NOT_TAKEN)
    if user_id is not None and found.user_id != user_id:
        raise Invalid(NOT_TAKEN)
    if not _names_its_user(credential, found, needed=user_id is None):
        raise Invalid(NOT_TAKEN)
    verified = _checked(answer, lambda: _verify(credential, challenge, found))
    found.sign_count, found.used_at = verified.new_sign_count, clock.now()
    return found


def record_failure(user_id: int | None = None) -> None:
    """An answer was not taken; `user_id`: whose it should have been, if that is known."""
    subject = f"user:{user_id}" if user_id else ""
    with transaction() as session:
        kind = factors.Kind.PASSKEY.value
        record(session, access.NOBODY, Action.SECOND_STEP_FAILED, subject, kind=kind)


def _read(answer: str) -> AuthenticationCredential:
    credential = parse_authentication_credential_json(answer)
    if bytes_to_base64url(credential.raw_id) != credential.id:
        raise ValueError("Two ids.")
    return credential


def _verify(
    credential: AuthenticationCredential, challenge: str, passkey: Passkey
) -> VerifiedAuthentication:
    rp_id, origin = party()
    return webauthn.verify_authentication_response(
        credential=credential,
        expected_challenge=base64url_to_bytes(challenge),
        expected_rp_id=rp_id,
        expected_origin=origin,
        credential_public_key=passkey.public_key,
        credential_current_sign_count=passkey.sign_count,
        require_user_verification=True,
    )


def _names_its_user(
    credential: AuthenticationCredential, passkey: Passkey, *, needed: bool
) -> bool:
    named = credential.response.user_handle
    return named == handle(passkey.user_id) or (named is None and not needed)


def _checked(answer: str, check: Callable[[], T], otherwise: str = NOT_TAKEN) -> T:
    if len(answer) > LONGEST_ANSWER:
        raise Invalid(otherwise)
    try:
        return check()
    except Exception:  # noqa: BLE001 - strangers send anything, and none of it is our fault
        raise Invalid(otherwise) from None


def handle(user_id: int) -> bytes:
    """By which an authenticator knows the user again: tells nothing of who it is."""
    return f"user-{user_id}".encode()


def using(user_id: int | None) -> str:
    """What a challenge is for; it answers nothing else."""
    return f"second-{user_id}" if user_id else "sign-in"


def _confirming(user_id: int) -> str:
    return f"confirm-{user_id}"


def _registering(user_id: int) -> str:
    return f"register-{user_id}"


def _issue(purpose: str) -> str:
    if not possible():
        raise Refused("Passkeys need https, and an address with a name.")
    challenge = bytes_to_base64url(webauthn.helpers.generate_challenge())
    now = clock.now()
    with transaction() as session:
        session.execute(delete(Challenge).where(Challenge.expires_at < now))
        session.add(Challenge(digest=_digest(purpose, challenge), expires_at=now + LIFETIME))
    return challenge


def _take(purpose: str, challenge: str) -> None:
    with transaction() as session:
        found = session.get(Challenge, _digest(purpose, challenge))
        if found is None:
            raise Invalid(TOO_LATE)
        expired = clock.now() > found.expires_at
        session.delete(found)
    if expired:
        raise Invalid(TOO_LATE)


def _digest(purpose: str, challenge: str) -> str:
    return hashlib.sha256(f"{purpose} {challenge}".encode("utf-8", "surrogatepass")).hexdigest()


def _ids(user_id: int) -> list[str]:
    found = select(Passkey.credential_id).where(Passkey.user_id == user_id)
    return list(db.session.scalars(found.order_by(Passkey.id)))


def _descriptors(user_id: int) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(found)) for found in _ids(user_id)]
