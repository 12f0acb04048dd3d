"""The part of README.md that is written from results.json."""

import flat
import flood
import mixes
import peers

BEGIN = "<!-- From here to the next such line, written by `benches/peers/run table`. -->"
END = "<!-- Written until here. -->"
NONE = "–"

# The mixes of the first table: what each peer's check costs.
CHECKS = ("plain", "RS256.one", "RS256.10k", "RS256.fresh", "ES256.fresh", "RS256.bad", "RS256.none")
PROTOCOLS = ("h1.tls", "h2", "h2.tls", "handshake")
# What is compared with HAProxy, the fastest of those that verify each token anew.
AGAINST_HAPROXY = ("RS256.fresh", "ES256.fresh", "RS256.bad", "RS256.none")


def into(readme: str, section: str) -> str:
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{section}{END}{after}"


def section(results: dict) -> str:
    parts = [provenance(results), checks(results), against(results), protocols(results), flatness(results), flooding(results)]
    return "\n" + "\n".join(part for part in parts if part) + "\n"


def figure(results: dict, section: str, name: str, peer: str, what: str = "cpu_us") -> float | None:
    return results.get(section, {}).get(name, {}).get(peer, {}).get(what)


def ratio(figure: float | None, of: float | None) -> float | None:
    return figure / of if figure is not None and of else None


def shown(value: float | None, unit: str = "") -> str:
    """With as many digits as the measuring is good for."""
    if value is None:
        return NONE
    return (f"{value:.2f}" if value < 2 else f"{value:.1f}" if value < 100 else f"{value:,.0f}") + unit


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def provenance(results: dict) -> str:
    versions = ", ".join(
        f"{peers.NAMED[name].title} {version}" for name, version in results["versions"].items()
        if name not in ("nginx-lua", "envoy-cache")
    )
    return f"{results['date']}, commit {results['commit']}, two cores of an {results['processor']}. {versions}.\n{quietness(results)}\n"


def quietness(results: dict) -> str:
    """How far the figures can be believed."""
    counts = [
        (figures["quiet"], figures["taken"])
        for section in ("mixes", "flat", "flood") for names in results.get(section, {}).values() for figures in names.values()
    ]
    rounds, each = results["rounds"], f"measurements of {results['seconds']:g} s"
    lacking = sum(quiet < rounds for quiet, _ in counts)
    if lacking:
        return f"**Taken on a busy machine**: {lacking} of {len(counts)} figures rest on fewer than {rounds} quiet {each}."
    return f"Medians of {rounds} quiet {each}; {sum(taken - quiet for quiet, taken in counts)} noisy ones were dropped."


def checks(results: dict) -> str:
    yardstick = figure(results, "mixes", "plain", "nginx")
    names = [peer.name for peer in peers.ALL if any(figure(results, "mixes", mix, peer.name) is not None for mix in CHECKS)]
    rows = []
    for mix in CHECKS:
        cells = [shown(ratio(figure(results, "mixes", mix, name), yardstick)) for name in names]
        rows.append([mixes.NAMED[mix].title, *(f"**{cell}**" if name == "portcullis" and cell != NONE else cell
                                               for name, cell in zip(names, cells))])
    head = f"CPU of a request; nginx forwarding only, {shown(yardstick)} µs, is 1"
    return table([head, *(peers.NAMED[name].title for name in names)], rows)


def against(results: dict) -> str:
    def compared(what: str, ours: float | None, theirs: float | None, whose: str, unit: str) -> list[str]:
        return [what, shown(ours, unit), f"{shown(theirs, unit)} {whose}", shown(ratio(ours, theirs))]

    rows = [
        compared(mixes.NAMED[mix].title, figure(results, "mixes", mix, "portcullis"), figure(results, "mixes", mix, "haproxy"),
                 "HAProxy", " µs")
        for mix in AGAINST_HAPROXY
    ]
    p99 = figure(results, "mixes", "RS256.10k", "portcullis", "p99_us"), figure(results, "mixes", "plain", "nginx", "p99_us")
    rows.append(compared("99th percentile of latency, 10,000 tokens", *p99, "nginx, forwarding only", " µs"))
    for name in ("nginx-lua", "envoy-cache"):
        held = [mebibytes(figure(results, "mixes", "RS256.10k", peer, "resident_kib")) for peer in ("portcullis", name)]
        rows.append(compared("memory with 10,000 tokens cached", *held, peers.NAMED[name].title, " MiB"))
    for name in ("nginx", "envoy"):
        held = [figure(results, "idle", "idle", peer, "connection_kib") for peer in ("portcullis", name)]
        rows.append(compared("memory of an idle connection", *held, peers.NAMED[name].title, " KiB"))
    workers = [figure(results, "mixes", f"workers.{count}", "portcullis") for count in (2, 1)]
    rows.append(compared("CPU of a request with two workers", *workers, "with one", " µs"))
    rows = [row for row in rows if NONE not in row]
    return table(["", "Portcullis", "against", "ratio"], rows) if rows else ""


def mebibytes(kib: float | None) -> float | None:
    return kib / 1024 if kib is not None else None


def protocols(results: dict) -> str:
    rows = []
    for mix in PROTOCOLS:
        costs = [figure(results, "mixes", mix, peer) for peer in mixes.FORWARDING]
        ratios = [shown(ratio(costs[0], cost)) for cost in costs[1:]]
        rows.append([mixes.NAMED[mix].title, *(shown(cost, " µs") for cost in costs), *ratios])
    rows = [row for row in rows if row[1] != NONE]
    head = ["", "Portcullis, authenticating", "nginx, forwarding", "Envoy, forwarding", "of nginx", "of Envoy"]
    return table(head, rows) if rows else ""


def flatness(results: dict) -> str:
    rows = []
    for series in flat.ALL:
        ours, nginx = (
            [figure(results, "flat", f"{series.name}.{size}", peer) for size in series.sizes] for peer in ("portcullis", "nginx"))
        if None not in ours:
            sizes = ", ".join(f"{size:,}" for size in series.sizes)
            dearest = [shown(max(costs) / min(costs)) if None not in costs else NONE for costs in (ours, nginx)]
            rows.append([f"{series.title}: {sizes}", ", ".join(shown(cost) for cost in ours), *dearest])
    return table(["However much there is", "µs of a request", "dearest / cheapest", "of nginx, forwarding"], rows) if rows else ""


def flooding(results: dict) -> str:
    figures = results.get("flood", {}).get("flood", {}).get("portcullis")
    if not figures:
        return ""
    return (
        f"A flood of {figures['flood']:,.0f} bad ES256 signatures a second beside {figures['good_flooded']:,.0f} good requests: the 99th\n"
        f"percentile of the good ones is {shown(figures['ratio'])} of what it is alone (meant to stay within {flood.BOUND:g}); "
        f"{figures['overloaded']:.0%} of the flood is `overloaded`.\n"
    )
