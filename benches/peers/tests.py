"""Tests of what decides on figures: which measurements count, and what is written of them."""

import itertools
import sys
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import chart
import load
import measure
import report
import rounds


def job(*measured: measure.Measured | Exception) -> rounds.Job:
    """Measures these in turn, and the last one ever after."""
    coming = itertools.chain(measured, itertools.repeat(measured[-1]))

    def next_one() -> measure.Measured:
        one = next(coming)
        if isinstance(one, Exception):
            raise one
        return one

    return rounds.Job("mixes", "plain", "nginx", next_one)


def cost(cpu_us: float, foreign: float = 0.0, **others) -> measure.Measured:
    return measure.Measured(cpu_us=cpu_us, foreign=foreign, resident_kib=1.0, **others)


class Rounds(unittest.TestCase):
    def test_noisy_measurements_are_taken_again_and_do_not_count(self):
        measured = job(cost(99, foreign=0.5), cost(10), cost(12), cost(98, foreign=0.5), cost(11))
        self.assertEqual(rounds.run([measured], 3, 0.1), [])
        summary = measured.summary(0.1, 3)
        self.assertEqual((summary["cpu_us"], summary["quiet"], summary["taken"]), (11, 3, 5))

    def test_a_machine_that_is_never_quiet_comes_to_an_end_and_says_so(self):
        measured = job(cost(10, foreign=0.5))
        self.assertEqual(rounds.run([measured], 2, 0.1), [])
        summary = measured.summary(0.1, 2)
        self.assertEqual((summary["quiet"], summary["taken"]), (0, 2 * rounds.TRIES))

    def test_a_failure_now_and_then_is_counted_and_one_always_is_reported(self):
        flaky, broken = job(RuntimeError("closed"), cost(10)), job(RuntimeError("no program"))
        [finding] = rounds.run([flaky, broken], 1, 0.1)
        self.assertIn("no program", finding)
        self.assertEqual(flaky.summary(0.1, 1)["failed"], 1)

    def test_a_measurement_of_something_else_does_not_count(self):
        measured = job(cost(1, wrong="5 refused"), cost(10))
        rounds.run([measured], 1, 0.1)
        self.assertEqual(measured.summary(0.1, 1)["cpu_us"], 10)


class Wrong(unittest.TestCase):
    @staticmethod
    def answers(**others) -> load.Answers:
        usual = {"requests": 1_000, "seconds": 1.0, "refused": 0, "errors": 0, "bytes": 1_100_000, "cpu_us": 1.0}
        return load.Answers(**{**usual, **others})

    def test_what_was_meant_is_not_wrong(self):
        self.assertIsNone(measure.wrong(self.answers(), refused=False))
        self.assertIsNone(measure.wrong(self.answers(refused=1_000), refused=True))

    def test_what_was_not_meant_is(self):
        for others in ({"requests": 0}, {"errors": 1}, {"refused": 1}, {"bytes": 1_000}):
            self.assertIsNotNone(measure.wrong(self.answers(**others), refused=False), others)
        self.assertIsNotNone(measure.wrong(self.answers(refused=999), refused=True))


class Report(unittest.TestCase):
    RESULTS = {
        "date": "2026-01-01", "commit": "abc", "processor": "CPU", "versions": {"nginx": "1.22.1"},
        "rounds": 1, "seconds": 3.0,
        "mixes": {
            "plain": {"nginx": {"cpu_us": 10.0, "quiet": 1, "taken": 2}},
            "RS256.one": {"portcullis": {"cpu_us": 9.0, "quiet": 1, "taken": 1}, "haproxy": {"cpu_us": 50.0, "quiet": 1, "taken": 1}},
        },
    }

    def test_costs_are_shown_in_nginx_plain_proxying(self):
        self.assertIn("| RS256, one token | **0.90** | – | 5.0 |", report.section(self.RESULTS))

    def test_noise_is_not_hidden(self):
        self.assertIn("Medians of 1 quiet measurements of 3 s; 1 noisy ones were dropped.", report.section(self.RESULTS))
        self.assertIn("3 of 3 figures rest on fewer than 5 quiet", report.section({**self.RESULTS, "rounds": 5}))

    def test_writing_it_again_changes_nothing(self):
        section = report.section(self.RESULTS)
        once = report.into(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", section)
        self.assertEqual(report.into(once, section), once)
        self.assertTrue(once.startswith("before\n") and once.endswith("\nafter\n"))
        self.assertNotIn("old", once)

    def test_the_chart_has_a_bar_for_each_figure(self):
        self.assertEqual(chart.drawn(self.RESULTS).count("<rect"), 2)


if __name__ == "__main__":
    unittest.main()
