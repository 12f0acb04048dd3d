"""Whether clients with good tokens notice a flood of bad signatures.

The good load is paced to a share of what the proxy can do of it, with its tokens in the cache. Then comes the flood
beside it: tokens never seen before, ES256, with broken signatures, more of them than a core could verify. What is
compared is the 99th percentile of the good ones' latency, without the flood and with it. The upstream and both loads share
a core: a proxy that is much faster than they are has to be asked for a smaller share, or they are what is measured.
"""

import re
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import load
import measure
import peers
import places
import process
from proxies.scene import Scene

GOOD_CONNECTIONS = 256
SHARE = 0.9
FLOOD_CONNECTIONS = 256
# A core verifies about 17,000 of ES256.
PER_SECOND = 25_000
# What is allowed of the 99th percentile with the flood, in that without.
BOUND = 2.0


@dataclass(frozen=True)
class Flooded(measure.Measured):
    """`good_` and `flood_` are requests a second; `overloaded` and `verified` are shares of what the flood was told."""

    alone_p99_us: int = 0
    flooded_p99_us: int = 0
    ratio: float = 0.0
    good_alone: float = 0.0
    good_flooded: float = 0.0
    flood: float = 0.0
    overloaded: float = 0.0
    verified: float = 0.0

    def __str__(self) -> str:
        return (
            f"p99 {self.alone_p99_us} us alone, {self.flooded_p99_us} us in the flood: {self.ratio:.2f}; "
            f"good {self.good_alone:.0f}/s, then {self.good_flooded:.0f}/s; flood {self.flood:.0f}/s, "
            f"of it overloaded {self.overloaded:.2f}, verified {self.verified:.2f}; foreign {self.foreign:.2f}"
        )


def pause_ms(connections: int, per_second: float) -> int:
    """The longest pause with which so many connections ask that often: pauses are half of it on average."""
    return max(1, round(2 * connections / per_second * 1_000))


def flooded(minted: Path, seconds: float, share: float, per_second: int) -> Flooded:
    with process.alone(), measure.upstream() as (port, behind):
        scene = Scene.of(minted, port, algorithm="RS256", second_algorithm="ES256")
        with measure.proxy(peers.NAMED["portcullis"], scene) as front:
            good = load.Requests(scene.tokens("10k"))
            with wrk(scene, good, 64, min(seconds, 1.0)) as most:
                capacity = most.after()
            pause = pause_ms(GOOD_CONNECTIONS, share * capacity.requests / capacity.seconds)
            paced = load.Requests(scene.tokens("10k"), pause_ms=pause)
            with wrk(scene, paced, GOOD_CONNECTIONS, seconds) as running:
                alone = measure.window(running, front.pid, behind.pid)
            bad = load.Requests(
                scene.tokens("fresh", "ES256"), once=True, broken=True, pause_ms=pause_ms(FLOOD_CONNECTIONS, per_second))
            before = reasons(scene)
            # The flood outlasts what is measured on both sides.
            with wrk(scene, bad, FLOOD_CONNECTIONS, 0.1) as flood, wrk(scene, paced, GOOD_CONNECTIONS, seconds) as running:
                with_flood = measure.window(running, front.pid, behind.pid)
                answered = flood.after()
            told = {reason: count - before.get(reason, 0) for reason, count in reasons(scene).items()}
    return summed_up(alone, with_flood, answered, told)


def wrk(scene: Scene, requests: load.Requests, connections: int, seconds: float) -> load.Wrk:
    return load.Wrk(scene.url, requests, connections, seconds, places.LOAD_CORES)


def reasons(scene: Scene) -> dict[str, int]:
    """How often each reason was given so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{scene.admin_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    found: dict[str, int] = {}
    for reason, count in re.findall(r'^portcullis_decisions_total\{.*reason="(\w+)".*\} (\d+)', text, re.M):
        found[reason] = found.get(reason, 0) + int(count)
    return found


def summed_up(alone: measure.Measured, then: measure.Measured, flood: load.Answers, told: dict[str, int]) -> Flooded:
    refused = max(flood.refused, 1)
    allowed = flood.requests - flood.refused
    return Flooded(
        # The flood's own cost of sending is not known for that moment: what is foreign is known without it only.
        foreign=alone.foreign, cpu_us=then.cpu_us, alone_p99_us=alone.p99_us, flooded_p99_us=then.p99_us,
        ratio=then.p99_us / max(alone.p99_us, 1), good_alone=alone.per_second, good_flooded=then.per_second,
        flood=flood.requests / flood.seconds, overloaded=told.get("overloaded", 0) / refused,
        verified=told.get("bad_signature", 0) / refused,
        wrong=alone.wrong or then.wrong or (f"{allowed} bad tokens were allowed" if allowed > 0 else None),
    )
