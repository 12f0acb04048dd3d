"""Whether a request costs Portcullis the same however much there is of everything. Where connections are the much, nginx is
asked, too: what the kernel does for each of them is nobody's to flatten."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

import idle
import load
import measure
import peers
import places
import process
from proxies.scene import Scene

# What is allowed between the cheapest and the dearest of a series.
FLAT = 1.15
WARM_SECONDS = 1.0
# Few enough a second that each token of a series is verified before it is measured, on a busy machine, too.
WARM_TOKENS = 10_000
BUSY = 64


@dataclass(frozen=True)
class Series:
    name: str
    title: str
    sizes: tuple[int, ...]
    peers: tuple[str, ...] = ("portcullis",)


ALL = [
    Series("routes", "routes", (1, 100, 10_000)),
    Series("issuers", "issuers", (1, 100, 1_000)),
    Series("tokens", "cached tokens", (1, 1_000, 100_000)),
    Series("busy", "connections, all busy", (10, 1_000, 10_000), ("portcullis", "nginx")),
    Series("held", "connections, 64 of them busy", (64, 1_000, 10_000), ("portcullis", "nginx")),
]


def point(series: Series, size: int, peer: peers.Peer, minted: Path, seconds: float) -> measure.Measured:
    """One series at one size; all else is as in the mixes."""
    def if_series(name: str, otherwise):
        return size if series.name == name else otherwise

    routes, issuers, tokens = if_series("routes", None), if_series("issuers", 1), if_series("tokens", 1)
    algorithm = "ES256" if series.name == "issuers" else "RS256"
    kind = {"issuers": f"issuers-{issuers}", "tokens": "fresh"}.get(series.name, "one")
    with process.alone(), measure.upstream() as (port, behind), contextlib.ExitStack() as held:
        scene = Scene.of(
            minted, port, algorithm=algorithm if peer.checks else None,
            routes=routes, issuers=issuers, many_tokens=series.name == "tokens",
        )
        requests = load.Requests(scene.tokens(kind, algorithm), count=if_series("tokens", None), paths=routes)
        with measure.proxy(peer, scene) as front:
            warm(scene, requests, tokens, seconds)
            for _ in range(if_series("held", BUSY) - BUSY):
                idle.ask(held, scene.port, idle.request_with(scene.tokens("one").read_text().strip()))
            with load.Wrk(scene.url, requests, if_series("busy", BUSY), seconds, places.LOAD_CORES) as running:
                return measure.window(running, front.pid, behind.pid)


def warm(scene: Scene, requests: load.Requests, tokens: int, seconds: float) -> None:
    """Sends every token, so that none is verified while it is measured."""
    needed = max(tokens / WARM_TOKENS, min(seconds, WARM_SECONDS))
    with load.Wrk(scene.url, requests, BUSY, needed, places.LOAD_CORES) as warming:
        answers = warming.after()
    if answers.requests < tokens + BUSY:
        raise RuntimeError(f"{answers.requests} of {tokens} tokens were sent before measuring")
