"""Rounds of measurements, interleaved, until there are enough quiet ones of each.

What else runs on the machine shifts from minute to minute, so that two figures can be compared only if they were taken in
turn: each round measures everything once. A measurement during which others took more than a little of the two cores is
kept out of the medians and taken again in another round, up to a bound.
"""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from measure import Measured

# More rounds than asked for, at most this many times as many: a machine that is never quiet has to end, too.
TRIES = 3


@dataclass
class Job:
    """Something to measure of one peer. Its place in the results is `section`, `name`, `peer`."""

    section: str
    name: str
    peer: str
    measure: Callable[[], Measured]
    taken: list[Measured] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def quiet(self, foreign_max: float) -> list[Measured]:
        return [one for one in self.taken if one.foreign <= foreign_max]

    def summary(self, foreign_max: float, rounds: int) -> dict:
        """Medians of the quiet ones. If there are none, of all: that there were none is said by `quiet`."""
        quiet = self.quiet(foreign_max)[:rounds]
        used = quiet or self.taken
        figures = {}
        for name in asdict(used[0]):
            values = [getattr(one, name) for one in used]
            if all(isinstance(value, (int, float)) for value in values):
                figures[name] = round(statistics.median(values), 3)
        costs = [one.cpu_us for one in used]
        figures["spread"] = round((max(costs) - min(costs)) / max(statistics.median(costs), 1e-9), 3)
        return {**figures, "quiet": len(quiet), "taken": len(self.taken), "failed": len(self.failures)}


def run(jobs: list[Job], rounds: int, foreign_max: float) -> list[str]:
    """Measures until every job has as many quiet measurements as there are to be rounds. Returns what could never be
    measured; what failed only now and then was said when it did, and is counted."""
    for number in range(rounds * TRIES):
        wanting = [job for job in jobs if len(job.quiet(foreign_max)) < rounds]
        if not wanting:
            break
        for job in wanting:
            once(job, number, foreign_max)
    return [f"{job.section} {job.name} {job.peer}: {job.failures[-1]}" for job in jobs if not job.taken]


def once(job: Job, number: int, foreign_max: float) -> None:
    label = f"{number + 1:2} {job.section:6} {job.name:18} {job.peer:12}"
    try:
        measured = job.measure()
        if measured.wrong:
            raise RuntimeError(measured.wrong)
    except (RuntimeError, OSError) as error:
        job.failures.append(str(error))
        print(f"{label} FAILED: {error}", flush=True)
        return
    job.taken.append(measured)
    loud = " (noisy: taken again)" if measured.foreign > foreign_max else ""
    print(f"{label} {measured}{loud}", flush=True)


def summaries(jobs: list[Job], rounds: int, foreign_max: float) -> dict:
    """Section, name and peer to figures."""
    found: dict = {}
    for job in jobs:
        if job.taken:
            found.setdefault(job.section, {}).setdefault(job.name, {})[job.peer] = job.summary(foreign_max, rounds)
    return found
