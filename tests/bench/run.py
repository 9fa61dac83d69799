"""Run the benchmark: each scenario with the bare handler, the tutorial's form and xinflight, in one run.

`make bench` runs this. Every round measures each contender once, one after the other, so that what the machine does
meanwhile meets all of them. Options are environment variables: see `bench.options`.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any, NamedTuple

from bench import cancel, capacity, cost, delivery, growth, idle, storm
from bench.contenders import PEERS, Contender
from bench.options import Options
from bench.pages import read_results, write_results
from bench.report import report
from bench.results import Results, conditions

__all__ = ["SCENARIOS", "compare"]


class Scenario(NamedTuple):
    """What is measured of which contenders; the first is what ratios are to."""

    contenders: Sequence[Contender]
    measure: Callable[[Contender, Options], Any]


SCENARIOS = {
    "cost": Scenario(cost.CONTENDERS, cost.measure),
    "capacity": Scenario(PEERS, capacity.measure),
    "cancel": Scenario(cancel.CONTENDERS, cancel.measure),
    "storm": Scenario(PEERS, storm.measure),
    "idle": Scenario(PEERS, idle.measure),
    "delivery": Scenario(PEERS, delivery.measure),
    "growth": Scenario(growth.CONTENDERS, growth.measure),
}


def compare(names: Sequence[str], options: Options, results: Results) -> None:
    """Measure scenarios and put their figures into `results`, in place of older ones.

    Raises:
        RuntimeError: a server does not start, or answered with an error.
        subprocess.CalledProcessError: the load failed, or there is no commit `base`.
    """
    for name in names:
        contenders, measure = SCENARIOS[name]
        with ExitStack() as stack:
            if options.base and name == "cost":
                older = stack.enter_context(cost.checked_out(options.base))
                contenders = [*contenders, Contender(name=options.base, tree=older, speed=True)]
            results.conditions[name] = conditions(options.rounds, quick=options.quick)
            figures: dict[str, list[Any]] = {contender.name: [] for contender in contenders}
            for number in range(options.rounds):
                for contender in contenders:
                    began = monotonic()
                    figures[contender.name].append(measure(contender, options))
                    told = f"{name}, round {number + 1} of {options.rounds}, {contender.name}"
                    print(f"{told}: {monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            setattr(results, name, figures)


def main() -> None:
    """Measure and print the report as Markdown; with the option `write`, also put it into the documentation."""
    if sys.platform != "linux":
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    options = Options.from_environ()
    names = options.scenario.split(",") if options.scenario else list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No such scenario: {', '.join(sorted(unknown))}. There are {', '.join(SCENARIOS)}.")
    results = read_results() if options.write else Results()
    for name in names:
        compare([name], options, results)
        if options.write:
            # After each: a run that is interrupted keeps what it has.
            write_results(results)
    print(report(results), flush=True)


if __name__ == "__main__":
    main()
