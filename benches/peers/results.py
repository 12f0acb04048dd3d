"""What was measured: kept in the cache while it grows, and published into the repository whole."""

import argparse
import datetime
import json
import os
import subprocess
from pathlib import Path

import chart
import peers
import places
import report


def path(smoke: bool) -> Path:
    return places.CACHE / "results-smoke.json" if smoke else places.MEASURED


def forget(options: argparse.Namespace) -> None:
    path(options.smoke).unlink(missing_ok=True)


def keep(sections: dict, options: argparse.Namespace) -> None:
    """Adds to what was measured before, so that a part can be measured again alone: a name's figures are of one run."""
    file = path(options.smoke)
    known = json.loads(file.read_text()) if file.exists() else {}
    known |= {
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "processor": processor(),
        "versions": {peer.name: peer.version() for peer in peers.ALL if peer.present()},
        "rounds": options.rounds, "seconds": options.seconds, "foreign_max": min(options.foreign, 99.0),
    }
    for section, names in sections.items():
        for name, figures in names.items():
            known.setdefault(section, {})[name] = figures
    file.write_text(json.dumps(known, indent=1) + "\n")


def commit() -> str:
    if "PORTCULLIS_BIN" in os.environ:
        return "unknown (PORTCULLIS_BIN)"
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=9"], cwd=places.REPOSITORY, capture_output=True, text=True)
    return asked.stdout.strip() or "unknown"


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def publish(options: argparse.Namespace) -> list[str]:
    """Writes results, chart and table into the repository. What differs from the files there is returned instead where
    only checking was asked for. A smoke run is rendered, to see that it can be, and thrown away."""
    if options.smoke:
        taken = json.loads(path(smoke=True).read_text())
        report.into(places.README.read_text(), report.section(taken))
        chart.drawn(taken)
        return []
    if not options.check:
        places.RESULTS.write_text(places.MEASURED.read_text())
    taken = json.loads(places.RESULTS.read_text())
    wanted = {
        places.README: report.into(places.README.read_text(), report.section(taken)),
        places.CHART: chart.drawn(taken),
    }
    if options.check:
        return [f"{file.name} is not what results.json says: `benches/peers/run table`"
                for file, text in wanted.items() if not file.exists() or file.read_text() != text]
    for file, text in wanted.items():
        file.write_text(text)
    return []
