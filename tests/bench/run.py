"""Run the benchmark: each scenario with the bare handler, the tutorial's form and xinflight, in one run.

`make bench` runs this. Every round measures each contender once, one after the other, so that what the machine does
meanwhile meets all of them. Options are environment variables: see `bench.options`.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import Any, NamedTuple

import msgspec

from bench import cancel, capacity, cost, delivery, growth, idle, storm
from bench.contenders import PEERS, ROOT, Contender
from bench.options import Options
from bench.plot import plot
from bench.report import report
from bench.results import Results, conditions

__all__ = ["BEGIN", "END", "SCENARIOS", "compare", "embedded"]

DOCS = ROOT / "docs"
BEGIN, END = "<!-- The benchmark writes what follows. -->\n\n", "\n\n<!-- The benchmark wrote that. -->"


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


def embedded(document: str, results: Results) -> str:
    """Return the document with the report of the results in its place."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{report(results)}{END}{after}"


def _write(results: Results) -> None:
    text = DOCS / "performance.md"
    text.write_text(embedded(text.read_text("utf-8"), results), "utf-8")
    (DOCS / "performance.svg").write_text(plot(results), "utf-8")
    (DOCS / "performance.json").write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def main() -> None:
    """Measure and print the report as Markdown; with the option `write`, also put it into the documentation."""
    if sys.platform != "linux":
        sys.exit("The benchmark reads /proc and pins processes to cores: it needs Linux.")
    options = Options.from_environ()
    names = options.scenario.split(",") if options.scenario else list(SCENARIOS)
    if unknown := set(names) - set(SCENARIOS):
        sys.exit(f"No such scenario: {', '.join(sorted(unknown))}. There are {', '.join(SCENARIOS)}.")
    kept = DOCS / "performance.json"
    results = Results()
    if options.write and kept.exists():
        results = msgspec.json.decode(kept.read_bytes(), type=Results)
    for name in names:
        compare([name], options, results)
        if options.write:
            # After each: a run that is interrupted keeps what it has.
            _write(results)
    print(report(results), flush=True)


if __name__ == "__main__":
    main()
