"""What a proxy is configured for, whichever it is."""

from dataclasses import dataclass
from pathlib import Path

import places
import process

# What every peer has to require of a token; mint.py mints them.
ISSUER, AUDIENCE, SCOPE = "https://idp.test/", "orders-api", "orders:read"

# Enough for what any mix opens; every proxy is told the same.
CONNECTIONS = 20_000
# Upstream connections that are kept: more than any mix has requests under way at once.
KEPT = 256
REQUESTS_PER_CONNECTION = 1_000_000_000


@dataclass(frozen=True)
class Scene:
    """One proxy in front of the upstream. Without an algorithm it forwards all it gets; with one it wants a token that
    this algorithm signed. The ports are free ones."""

    minted: Path
    upstream_port: int
    port: int
    admin_port: int
    algorithm: str | None = None
    second_algorithm: str | None = None
    tls: bool = False
    h2: bool = False
    workers: int = 1
    routes: int | None = None
    issuers: int = 1
    many_tokens: bool = False
    directory: Path = places.WORK

    @classmethod
    def of(cls, minted: Path, upstream_port: int, **others) -> "Scene":
        port, admin_port = process.free_ports(2)
        return cls(minted, upstream_port, port, admin_port, **others)

    @property
    def path(self) -> str:
        return "/orders/123" if self.routes is None else "/service0/orders/123"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{self.path}"

    @property
    def certificate(self) -> Path:
        return self.minted / "keys" / "certificate.pem"

    @property
    def private_key(self) -> Path:
        return self.minted / "keys" / "tls.pem"

    @property
    def public_key(self) -> Path:
        return self.minted / "keys" / f"{self.algorithm}.pem"

    def jwks_of(self, algorithm: str) -> Path:
        return self.minted / "keys" / f"jwks-{algorithm}.json"

    def tokens(self, kind: str, algorithm: str | None = None) -> Path:
        """A file of tokens; where nothing is checked they are sent all the same, to be octets like the others' ones."""
        return self.minted / "tokens" / f"{algorithm or self.algorithm or 'RS256'}.{kind}"

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path
