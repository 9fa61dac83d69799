"""Whether a generation costs more where more of them run at once."""

from msgspec import Struct

from bench.contenders import BARE, ROOT, XINFLIGHT, XINFLIGHT_SPEED, Contender, environ, staged
from bench.load import Load, Measured
from bench.options import Options
from bench.processes import cores, driven

__all__ = ["CLIENTS", "CONTENDERS", "Growth", "measure"]

CONTENDERS = (BARE, XINFLIGHT, XINFLIGHT_SPEED)
CLIENTS = (100, 500, 2000)


class Growth(Struct, kw_only=True):
    """The figures of each number of clients."""

    steps: list[Measured]

    @property
    def factor(self) -> float:
        """CPU per generation with the most clients, divided by that with the fewest."""
        return self.steps[-1].cpu / self.steps[0].cpu


def measure(contender: Contender, options: Options) -> Growth:
    """Measure one contender once with each number of clients. Errors as `cost.measure`."""
    clients = [CLIENTS[0], CLIENTS[-1]] if options.quick else list(CLIENTS)
    with staged(contender, slots=clients[-1], generation=options.generation) as stage:
        seconds = options.generation * (1.0 if options.quick else 2.0)
        load = Load(stage=stage, clients=clients, seconds=seconds, warm_up=1.0, settle=0.6)
        steps = driven("bench.load", load, list[Measured], core=cores()[1], environ=environ(ROOT / "tests"))
    return Growth(steps=steps)
