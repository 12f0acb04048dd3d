"""Which bad tokens does each peer refuse? A peer that checks less is cheaper, and nobody should have to guess it."""

import json
from pathlib import Path

import measure
import peers
import process
from proxies.scene import Scene

GOOD = "valid"
# To be allowed, too, by RFC 7519 section 4.1.3; a rule written by hand may be simpler.
EITHER = ("audience_list",)


def every(chosen: list[peers.Peer], minted: Path) -> list[str]:
    """What is not as it should be, after having shown all of it."""
    findings = []
    for peer in chosen:
        if not peer.checks:
            continue
        for algorithm in ("RS256", "ES256"):
            statuses = answers(peer, algorithm, minted)
            shown = " ".join(f"{case}={status}" for case, status in statuses.items())
            print(f"check {peer.name:12} {algorithm}  {shown}", flush=True)
            findings += [f"{peer.name} {algorithm} {case}: {status}" for case, status in statuses.items()
                         if not as_it_should(case, status)]
    return findings


def answers(peer: peers.Peer, algorithm: str, minted: Path) -> dict:
    with process.alone(), measure.upstream() as (port, _):
        scene = Scene.of(minted, port, algorithm=algorithm)
        cases = json.loads(scene.tokens("cases.json").read_text())
        with measure.proxy(peer, scene):
            return {case: measure.get(scene.port, token) for case, token in cases.items()}


def as_it_should(case: str, status: int | str) -> bool:
    if case == GOOD:
        return status == 200
    refused = isinstance(status, int) and 400 <= status < 500
    return refused or (status == 200 and case in EITHER)
