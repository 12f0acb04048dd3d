"""One measurement: a proxy that was just started, warmed, and then loaded while the processor time is counted."""

import contextlib
import http.client
import time
from dataclasses import dataclass
from pathlib import Path

import load
import peers
import places
import process
from mixes import Mix
from proxies.scene import Scene

BODY = 1_024
WARM_SECONDS = 1.0


@dataclass(frozen=True)
class Measured:
    """Processor time is of the proxy, per request. `foreign` is what others took of the two cores, in cores. What a
    measurement is not about, it leaves out."""

    foreign: float
    cpu_us: float = 0.0
    user_us: float = 0.0
    system_us: float = 0.0
    load_us: float = 0.0
    requests: int = 0
    per_second: float = 0.0
    p50_us: int | None = None
    p99_us: int | None = None
    resident_kib: float | None = None
    connection_kib: float | None = None
    wrong: str | None = None

    def __str__(self) -> str:
        if self.connection_kib is not None:
            return f"{self.connection_kib:6.1f} KiB a connection  foreign {self.foreign:.2f}"
        latency = f"p50 {self.p50_us} p99 {self.p99_us} us " if self.p99_us is not None else ""
        return (
            f"{self.cpu_us:6.1f} us ({self.user_us:.1f} + {self.system_us:.1f}) {self.per_second:8.0f}/s {latency}"
            f"rss {self.resident_kib / 1024:.1f} MiB foreign {self.foreign:.2f}"
        )


@contextlib.contextmanager
def upstream():
    """The port of a running upstream, and its process."""
    [port] = process.free_ports(1)
    with process.serving("upstream", [places.UPSTREAM, port], port, places.LOAD_CORES) as running:
        yield port, running


@contextlib.contextmanager
def proxy(peer: peers.Peer, scene: Scene, cores: str = places.PROXY_CORES):
    with process.serving(peer.name, peer.command(scene), scene.port, cores) as running:
        # Where one plain HTTP/1.1 request with the usual issuer's token would not do, the open port has to.
        if not scene.tls and not scene.h2 and scene.issuers == 1:
            wait_until_it_forwards(peer, scene)
        yield running


def wait_until_it_forwards(peer: peers.Peer, scene: Scene) -> None:
    """Some open their port before they are ready."""
    token = scene.tokens("one").read_text().strip()
    end = time.monotonic() + process.PATIENCE
    while (status := get(scene.port, token, scene.path)) != 200:
        if time.monotonic() > end:
            raise RuntimeError(f"{peer.name} answers a good token with {status}")
        time.sleep(0.05)


def get(port: int, token: str | None, path: str = "/orders/123") -> int | str:
    """The status of one request, or what went wrong."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__
    finally:
        connection.close()


def through(peer: peers.Peer, mix: Mix, minted: Path, seconds: float) -> Measured:
    """One mix through one peer."""
    cores = places.BOTH_CORES if mix.both_cores else places.PROXY_CORES
    load_cores = places.BOTH_CORES if mix.both_cores else places.LOAD_CORES
    with process.alone(), upstream() as (port, behind):
        scene = mix.scene(peer, minted, port)
        with proxy(peer, scene, cores) as front:
            if not mix.handshakes:
                with mix.load(scene, min(seconds, WARM_SECONDS), load_cores, warming=True) as warming:
                    warming.after()
            with mix.load(scene, seconds, load_cores) as running:
                return window(running, front.pid, behind.pid, mix.refused)


def window(running, front: int, behind: int, refused: bool = False) -> Measured:
    """Counts while a load runs."""
    begun, busy = time.monotonic(), process.busy_us()
    front_before, behind_before = process.cpu(front), process.cpu(behind)
    answers = running.after()
    front_used, behind_used = process.cpu(front) - front_before, process.cpu(behind) - behind_before
    wall_us, busy = (time.monotonic() - begun) * 1e6, process.busy_us() - busy
    ours = front_used.total + behind_used.total + answers.cpu_us
    count = max(answers.requests, 1)
    return Measured(
        cpu_us=front_used.total / count, user_us=front_used.user / count, system_us=front_used.system / count,
        requests=answers.requests, per_second=answers.requests / answers.seconds,
        p50_us=answers.p50_us, p99_us=answers.p99_us,
        resident_kib=process.resident_kib(front), foreign=max(0.0, (busy - ours) / wall_us),
        load_us=answers.cpu_us / count, wrong=wrong(answers, refused),
    )


def wrong(answers: load.Answers, refused: bool) -> str | None:
    """Why this is no measurement of what was meant: a proxy that refuses is fast. What was under way at the end, a request
    a connection, may be missing among the refusals."""
    if answers.requests == 0:
        return "no answers"
    if answers.errors:
        return f"{answers.errors} errors"
    if refused:
        allowed = answers.requests - answers.refused
        return f"{allowed} allowed" if allowed > 0 else None
    if answers.refused:
        return f"{answers.refused} refused"
    return None if answers.bytes / answers.requests > BODY else "bodies are missing"
