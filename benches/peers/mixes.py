"""The mixes: what is asked of which peers. A mix that only some can do is measured with those."""

from dataclasses import dataclass
from pathlib import Path

import load
import peers
from proxies.scene import Scene

CHECKING = ("portcullis", "nginx-lua", "haproxy", "envoy", "envoy-cache")
# What only Portcullis authenticates: the others show what the protocol costs them without it.
FORWARDING = ("portcullis", "nginx", "envoy")


@dataclass(frozen=True)
class Mix:
    """`tokens` is a kind of token file (see mint.py), `warm` the kind that is sent before measuring."""

    name: str
    title: str
    peers: tuple[str, ...]
    algorithm: str | None = None
    tokens: str | None = "one"
    warm: str | None = "one"
    once: bool = False
    broken: bool = False
    refused: bool = False
    tls: bool = False
    h2: bool = False
    handshakes: bool = False
    workers: int = 1
    both_cores: bool = False
    connections: int = 64

    def scene(self, peer: peers.Peer, minted: Path, upstream_port: int) -> Scene:
        """Peers that only forward have no algorithm; where TLS or HTTP/2 is what is compared, all but Portcullis do."""
        forwards = not peer.checks or ((self.tls or self.h2) and peer.name != "portcullis")
        algorithm = None if forwards else self.algorithm
        return Scene.of(minted, upstream_port, algorithm=algorithm, tls=self.tls, h2=self.h2, workers=self.workers)

    def requests(self, scene: Scene, warming: bool) -> load.Requests:
        kind = self.warm if warming else self.tokens
        if kind is None:
            return load.Requests()
        once = self.once and not warming
        return load.Requests(scene.tokens(kind, self.algorithm), once=once, broken=self.broken)

    def load(self, scene: Scene, seconds: float, cores: str, warming: bool = False):
        requests = self.requests(scene, warming)
        if self.h2 or self.handshakes:
            return load.H2load(scene.url, requests, self.connections, seconds, cores, self.h2, self.handshakes)
        return load.Wrk(scene.url, requests, self.connections, seconds, cores)


ALL = [
    Mix("plain", "no authentication", ("portcullis", "nginx", "haproxy", "envoy")),
    Mix("RS256.one", "RS256, one token", CHECKING, "RS256"),
    Mix("RS256.10k", "RS256, 10,000 tokens", CHECKING, "RS256", "10k", "10k"),
    Mix("RS256.fresh", "RS256, every token new", CHECKING, "RS256", "fresh", "10k", once=True),
    Mix("ES256.fresh", "ES256, every token new", CHECKING, "ES256", "fresh", "10k", once=True),
    Mix("RS256.bad", "RS256, bad signature", CHECKING, "RS256", "fresh", "10k", once=True, broken=True, refused=True),
    Mix("RS256.none", "no token", CHECKING, "RS256", None, None, refused=True),
    Mix("h1.tls", "HTTP/1.1, TLS 1.3", FORWARDING, "RS256", tls=True),
    Mix("h2", "HTTP/2", FORWARDING, "RS256", h2=True),
    Mix("h2.tls", "HTTP/2, TLS 1.3", FORWARDING, "RS256", tls=True, h2=True),
    Mix("handshake", "a TLS 1.3 handshake for each", FORWARDING, "RS256", tls=True, handshakes=True),
    # On the same cores, so that only the number of workers differs.
    Mix("workers.1", "one worker", ("portcullis", "nginx"), "RS256", "10k", "10k", both_cores=True),
    Mix("workers.2", "two workers", ("portcullis", "nginx"), "RS256", "10k", "10k", both_cores=True, workers=2),
]
NAMED = {mix.name: mix for mix in ALL}
