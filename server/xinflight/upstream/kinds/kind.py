"""What a kind of task has to define."""

from collections.abc import Callable

from msgspec import Struct

from xinflight.protocol import Params
from xinflight.upstream.progress import DurationKey

__all__ = ["GenerationRequest", "Kind", "Route", "Timeouts"]


class GenerationRequest(Struct, frozen=True, kw_only=True):
    """One output to generate. With None for `steps` or `guidance_scale` the model's own apply.

    `request_id` is unique per request ever sent, since Xinference refuses one that it has seen.
    """

    model: str
    prompt: str
    negative_prompt: str | None
    width: int
    height: int
    steps: int | None
    guidance_scale: float | None
    seed: int
    request_id: str


class Route(Struct, frozen=True, kw_only=True):
    """One HTTP route that generates an output."""

    path: str
    true_cancel: bool
    """Whether an abort stops the compute. Where it does not, an abort must never be sent: the model would take the
    next request while its pipeline still runs, and spoil both."""
    body: Callable[[GenerationRequest], dict[str, object]]
    """Return the JSON body, which has known keys only."""
    output: Callable[[bytes], bytes]
    """Return the bytes of the output's file from the response, or raise UpstreamGarbage."""
    missing: str | None = None
    """Lower-case text of the error of a model class without this route; the kind's other route then serves."""


class Timeouts(Struct, frozen=True, kw_only=True):
    """Durations in seconds. The response itself has none: a request may wait an hour in Xinference's own queue."""

    confirm: float
    """Until an abort counts as unconfirmed, or five steps if those are longer, at most half of `silence`."""
    silence: float
    """Without progress, until a request that was aborted or lost its connection is presumed to have ended."""
    after_steps: float
    """That the model may still work after its last step, where only the progress shows the end."""


class Kind(Struct, frozen=True, kw_only=True):
    """One kind of task, as a row of KINDS."""

    name: str
    ability: str
    """The entry of `model_ability` that a model needs."""
    cancel_route: Route | None
    """The route with a true cancel, used for models that have it."""
    plain_route: Route
    """The route for all other models."""
    max_bytes: Callable[[GenerationRequest], int]
    """Return the maximum size of a response."""
    unknown_has_ended: bool
    """Whether a request that the progress route does not know (400) has ended. Otherwise nothing shows the end of a
    request whose connection was lost, and its slot stays occupied for `timeouts.silence`."""
    max_deaths: int
    """Number of requests that may die while running before the output fails; 1 allows no second one."""
    duration_key: Callable[[str, Params], DurationKey]
    """Return what the duration of an output depends on, from the model's uid and the parameters."""
    timeouts: Timeouts

    def route(self, *, true_cancel: bool) -> Route:
        """Return the route for a model; `true_cancel` is whether the model has the route with a true cancel."""
        return self.cancel_route if true_cancel and self.cancel_route is not None else self.plain_route
