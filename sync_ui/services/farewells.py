"""The last words with Google when a connection ends; it ends all the same if nobody hears them."""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from sqlalchemy import select

from sync_ui.domain.outside import Provider, Trouble
from sync_ui.errors import SyncError
from sync_ui.gateways.google import Google
from sync_ui.models import Connection, ConnectionState, ProviderName, db
from sync_ui.services import channels, providers
from sync_ui.services.channels import Promise


@dataclass(frozen=True, slots=True)
class Farewell:
    """What is to be said: that nobody listens any more, and that no permission is needed."""

    provider: Google
    promise: Promise | None
    revokes: bool

    def say(self) -> None:
        """Outside of any transaction."""
        if self.promise is not None:
            channels.stop(self.provider, self.promise)
        if self.revokes:
            providers.revoke(self.provider)


def prepared(connection: Connection, provider: Provider | None = None) -> Farewell | None:
    """Before the credentials are dropped; calls nobody. None where nothing is to be said."""
    if connection.provider is not ProviderName.GOOGLE or connection.sealed is None:
        return None
    try:
        provider = provider or providers.open_(connection)
    except (SyncError, Trouble, InvalidTag):
        return None
    if not isinstance(provider, Google):
        return None
    return Farewell(provider, channels.promise(connection), not _is_shared(connection))


def _is_shared(connection: Connection) -> bool:
    """Whether another connection may live by the same permission.

    Google takes it back for the whole account, and does not tell which account it
    is: whoever made both may have signed in to the same one.
    """
    others = db.session.scalars(
        select(Connection).where(
            Connection.provider == ProviderName.GOOGLE,
            Connection.id != connection.id,
            Connection.state != ConnectionState.ENDED,
            Connection.sealed.is_not(None),
        )
    ).all()
    own = _refresh(connection)
    return any(
        other.created_by_id == connection.created_by_id or _refresh(other) == own
        for other in others
    )


def _refresh(connection: Connection) -> str:
    try:
        return providers.login_of(connection).credentials["refresh"]
    except InvalidTag:
        return ""
