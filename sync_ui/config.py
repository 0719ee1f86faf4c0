"""What the person who runs the installation may choose, read from the environment.

Each setting can also be given as `NAME_FILE`, the path of a file that holds it.
Nonsense refuses to start, with a sentence.
"""

import os
import re
import socket
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from sync_ui.errors import CannotStart

ROOT = Path(__file__).parent.parent

Network = IPv4Network | IPv6Network

NAMES = (
    "SYNC_DATA_DIR",
    "SYNC_BASE_URL",
    "SYNC_DATABASE_URL",
    "SYNC_REDIS_URL",
    "SYNC_SMTP_URL",
    "SYNC_MAIL_FROM",
    "SYNC_TRUSTED_PROXIES",
    "SYNC_ALLOW_PRIVATE_ADDRESSES",
    "SYNC_BACKUP_DIR",
    "SYNC_GOOGLE_CLIENT_ID",
    "SYNC_GOOGLE_CLIENT_SECRET",
    "SYNC_PROCESSES",
    "SYNC_FEED_MEMORY",
    "SYNC_LOG_LEVEL",
)

LOG_LEVELS = ("debug", "info", "warning", "error")

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one installation; `base_url` has no slash at its end.

    `feed_memory` is in megabytes, for all `processes` of the web server together.
    `allow_private_addresses` are names, addresses and networks of calendar servers
    that need not be public.
    """

    data_dir: Path
    base_url: str
    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    allow_private_addresses: tuple[str, ...] = ()
    google_client_id: str | None = None
    google_client_secret: str | None = field(default=None, repr=False)
    processes: int = 1
    feed_memory: int = 256
    log_level: str = "info"
    backup_dir: Path | None = None

    @property
    def backups(self) -> Path:
        """Where the daily backups are."""
        return self.backup_dir or self.data_dir / "backups"

    @property
    def secure(self) -> bool:
        """Whether people reach the application through https."""
        return self.base_url.startswith("https://")

    @property
    def reachable_by_phones(self) -> bool:
        """Phones need https; and nothing reaches a loopback address but itself."""
        return self.secure and not is_loopback(urlsplit(self.base_url).hostname or "")


def is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Read the settings. Raises CannotStart with a sentence for nonsense."""
    data_dir = Path(_read(environ, "SYNC_DATA_DIR") or ROOT / "instance").absolute()
    google_id, google_secret = _google_client(environ)
    return Config(
        data_dir=data_dir,
        base_url=_base_url(environ, data_dir),
        database_url=_database_url(_read(environ, "SYNC_DATABASE_URL")),
        redis_url=_address(environ, "SYNC_REDIS_URL", {"redis", "rediss", "unix"}),
        smtp_url=_address(environ, "SYNC_SMTP_URL", {"smtp", "smtps"}),
        mail_from=_mail_from(environ),
        trusted_proxies=_networks(environ, "SYNC_TRUSTED_PROXIES"),
        allow_private_addresses=_hosts_and_networks(environ, "SYNC_ALLOW_PRIVATE_ADDRESSES"),
        google_client_id=google_id,
        google_client_secret=google_secret,
        processes=_number(environ, "SYNC_PROCESSES", 1, 64),
        feed_memory=_number(environ, "SYNC_FEED_MEMORY", 256, 1_000_000),
        log_level=log_level(environ),
        backup_dir=_backup_dir(environ, data_dir),
    )


def log_level(environ: Mapping[str, str] = os.environ) -> str:
    """How much is logged. Raises CannotStart for nonsense."""
    given = (_read(environ, "SYNC_LOG_LEVEL") or "info").lower()
    if given not in LOG_LEVELS:
        raise CannotStart(f"SYNC_LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}.")
    return given


def unknown_names(environ: Iterable[str] = os.environ) -> list[str]:
    """One sentence for each `SYNC_…` in the environment that no setting is called."""
    known = {*NAMES, *(f"{name}_FILE" for name in NAMES)}
    given = sorted(name for name in environ if name.startswith("SYNC_") and name not in known)
    return [_unknown(name, sorted(known)) for name in given]


def _unknown(name: str, known: list[str]) -> str:
    meant = get_close_matches(name, known, n=1)
    shown = ascii(name)[1:-1]  # whatever it holds, it is one line
    return f"{shown} is no setting{f'; is {meant[0]} meant?' if meant else '.'}"


def forget_debugging(environ: MutableMapping[str, str] = os.environ) -> None:
    """Flask's debugger shows the inside of the program to whoever asks: it is never switched on."""
    environ.pop("FLASK_DEBUG", None)


def _read(environ: Mapping[str, str], name: str) -> str | None:
    path = environ.get(f"{name}_FILE")
    if path is None:
        return environ.get(name, "").strip() or None
    if name in environ:
        raise CannotStart(f"{name} and {name}_FILE are both set; keep one of them.")
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        raise CannotStart(f"the file that {name}_FILE names cannot be read.") from None


def _backup_dir(environ: Mapping[str, str], data_dir: Path) -> Path | None:
    given = _read(environ, "SYNC_BACKUP_DIR")
    if given is None:
        return None
    path = Path(given)
    if not path.is_absolute() or (path.exists() and not path.is_dir()) or path == data_dir:
        raise CannotStart(
            "SYNC_BACKUP_DIR must be the full path of a folder of its own, such as "
            "/mnt/backups/sync-calendar."
        )
    return path


def _google_client(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    names = "SYNC_GOOGLE_CLIENT_ID", "SYNC_GOOGLE_CLIENT_SECRET"
    client_id, secret = (_read(environ, name) for name in names)
    if bool(client_id) != bool(secret):
        raise CannotStart(f"{' and '.join(names)} belong together; set both or neither.")
    return client_id, secret


def _number(environ: Mapping[str, str], name: str, usual: int, most: int) -> int:
    given = _read(environ, name) or str(usual)
    if not (given.isascii() and given.isdigit() and 1 <= int(given) <= most):
        raise CannotStart(f"{name} must be a number from 1 to {most}.")
    return int(given)


def served_address(environ: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Where the web server listens: HOST (127.0.0.1) and PORT (8000)."""
    port = environ.get("PORT") or "8000"
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise CannotStart("PORT must be a number from 1 to 65535.")
    return environ.get("HOST") or "127.0.0.1", int(port)


def remember_address(data_dir: Path, host: str, port: int) -> None:
    """Commands in another terminal build links from the address that is served now."""
    os.environ.update(HOST=host, PORT=str(port))
    (data_dir / "address").write_text(f"{host} {port}\n")


def _base_url(environ: Mapping[str, str], data_dir: Path) -> str:
    given = _read(environ, "SYNC_BASE_URL")
    if given is None:
        host, port = _remembered_address(environ, data_dir)
        host = _lan_address() if host in {"0.0.0.0", "::"} else host  # noqa: S104
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    url = _split(given, "SYNC_BASE_URL")
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment:
        raise CannotStart("SYNC_BASE_URL must look like https://calendar.example.com.")
    if url.path not in {"", "/"} or "@" in url.netloc:
        raise CannotStart("SYNC_BASE_URL must be a bare address, without a path or a password.")
    return f"{url.scheme}://{url.netloc}".lower()


def _remembered_address(environ: Mapping[str, str], data_dir: Path) -> tuple[str, int]:
    if environ.get("HOST") or environ.get("PORT"):
        return served_address(environ)
    try:
        host, _, port = (data_dir / "address").read_text().strip().rpartition(" ")
    except OSError:
        return served_address(environ)
    return served_address({"HOST": host, "PORT": port})


def _lan_address() -> str:
    """The address by which the local network knows this machine; sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _database_url(given: str | None) -> str | None:
    if given is None:
        return None
    scheme = _split(given, "SYNC_DATABASE_URL").scheme
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
        raise CannotStart(
            "SYNC_DATABASE_URL must begin with postgresql://; "
            "leave it out for the encrypted database in the data directory."
        )
    return "postgresql+psycopg" + given[len(scheme) :]


def _address(environ: Mapping[str, str], name: str, schemes: set[str]) -> str | None:
    given = _read(environ, name)
    if given is None:
        return None
    if _split(given, name).scheme not in schemes:
        wanted = " or ".join(f"{scheme}://" for scheme in sorted(schemes))
        raise CannotStart(f"{name} must begin with {wanted}.")
    return given


def _split(given: str, name: str) -> SplitResult:
    try:
        url = urlsplit(given)
        _ = url.port
    except ValueError:
        raise CannotStart(f"{name} is not a web address.") from None
    return url


def _mail_from(environ: Mapping[str, str]) -> str | None:
    given = _read(environ, "SYNC_MAIL_FROM")
    if given is None:
        if _read(environ, "SYNC_SMTP_URL"):
            raise CannotStart("SYNC_SMTP_URL needs SYNC_MAIL_FROM, the sender's e-mail address.")
        return None
    if "@" not in parseaddr(given)[1] or "\n" in given or "\r" in given:
        raise CannotStart("SYNC_MAIL_FROM must be one e-mail address.")
    return given


def _networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    given = (_read(environ, name) or "").replace(",", " ").split()
    try:
        return tuple(ip_network(network) for network in given)
    except ValueError:
        raise CannotStart(f"{name} must be addresses or networks, such as 10.0.0.0/8.") from None


def _hosts_and_networks(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    given = (_read(environ, name) or "").replace(",", " ").lower().split()
    if not all(_is_host_or_network(text) for text in given):
        raise CannotStart(
            f"{name} must be host names, addresses or networks,"
            " such as nas.home.arpa or 192.168.1.0/24."
        )
    return tuple(text.rstrip(".") for text in given)


def _is_host_or_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        labels = text.rstrip(".").split(".")
        # What ends in a number is an address, though a wrong one.
        return not labels[-1].isdigit() and all(map(_LABEL.fullmatch, labels))
    return True
