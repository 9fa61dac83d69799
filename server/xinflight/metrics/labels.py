"""Labels of metrics, bounded: each combination is a series that Prometheus keeps for weeks."""

from typing import Generic, TypeVar

from prometheus_client import Counter, Histogram

__all__ = ["OTHER", "UNASSIGNED", "Labelled", "Names"]

OTHER = "other"
"""Stands for all names beyond the bound."""
UNASSIGNED = "unassigned"
"""Stands for the empty name: that of the pool of tasks whose model is not known."""

M = TypeVar("M", Counter, Histogram)


class Names:
    """Names that the upstream gives to its models, of which the first `most` are told apart."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known = {"": UNASSIGNED}

    def label(self, name: str) -> str:
        """Return the label for a name."""
        known = self._known.get(name)
        if known is None:
            if len(self._known) > self._most:
                return OTHER
            known = self._known[name] = name
        return known


class Labelled(Generic[M]):
    """A metric with labels; finding the child of known labels costs one look-up.

    Bounded by its labels, which come from `Names` or are constants of the protocol.
    """

    def __init__(self, metric: M) -> None:
        self._metric: M = metric
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *labels: str) -> M:
        """Return the child for labels, in the order of the metric's."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._metric.labels(*labels)
        return child
