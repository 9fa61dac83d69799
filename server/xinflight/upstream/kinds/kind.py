"""What a kind of task has to define."""

from collections.abc import Callable, Iterable
from typing import Literal, Protocol

from msgspec import Struct

from xinflight.protocol import ChatContent, ChatEnd, Params
from xinflight.protocol import Kind as KindName
from xinflight.upstream.progress import DurationKey

__all__ = [
    "SPECIAL_FIELDS",
    "Answer",
    "Form",
    "FormFile",
    "GenerationRequest",
    "IdCheck",
    "Inputs",
    "Kind",
    "Made",
    "Piece",
    "Reader",
    "Route",
    "Timeouts",
]


SPECIAL_FIELDS = ("image", "images", "mask", "strength", "frames", "fps")
"""Fields of `generate` that only some kinds take."""


class Inputs(Struct, frozen=True, kw_only=True):
    """What a request starts from: images as PNG, exactly as Xinference needs them, and the messages of a chat.

    `size` is that of `image`, or of the first of `references` without one: width and height in pixels.
    """

    image: bytes | None = None
    size: tuple[int, int] = (0, 0)
    references: tuple[bytes, ...] = ()
    mask: bytes | None = None
    content: ChatContent | None = None

    @property
    def image_bytes(self) -> int:
        """Return how many bytes the images have."""
        return sum(len(image) for image in (self.image, *self.references, self.mask) if image is not None)


class GenerationRequest(Struct, frozen=True, kw_only=True):
    """One output to generate. With None for `steps` or `guidance_scale` the model's own apply.

    `width` and `height` are 0 where nobody asks for a size. `params` has what is special to a kind, `context_length`
    is the model's, in tokens.
    `request_id` is unique per request ever sent, since Xinference refuses one that it has seen. `traceparent` is the
    span that it belongs to, if any.
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
    params: Params
    context_length: int | None = None
    inputs: Inputs = Inputs()
    traceparent: str | None = None


class FormFile(Struct, frozen=True, kw_only=True):
    """A file of a form."""

    media_type: str
    data: bytes


class Form(Struct, frozen=True, kw_only=True):
    """A body as multipart/form-data."""

    fields: dict[str, str]
    files: dict[str, FormFile]


class Answer(Struct, frozen=True, kw_only=True):
    """A text that has come to its end."""

    text: str
    reasoning: str | None = None
    end: ChatEnd


Made = bytes | Answer
"""What an output turns out to be: the bytes of a file, or a text."""


class Piece(Struct, frozen=True):
    """New text of an answer."""

    text: str
    channel: Literal["text", "reasoning"] = "text"


class Reader(Protocol):
    """Reads the response to one request as it arrives. It is `over` when nothing more of it comes."""

    over: bool

    def feed(self, data: bytes) -> Iterable[Piece]:
        """Iterate over the text in the next bytes of the response, which may end anywhere.

        Raises:
            UpstreamDied, UpstreamBusy: the upstream says that it failed.
            UpstreamGarbage: the response has not the expected shape.
        """

    def end(self) -> Made:
        """Return what was made, at the end of the response.

        Raises:
            UpstreamDied: the upstream failed before its end.
            UpstreamGarbage: the response has not the expected shape.
        """


class Route(Struct, frozen=True, kw_only=True):
    """One HTTP route that generates an output."""

    path: Callable[[GenerationRequest], str]
    true_cancel: bool
    """Whether an abort stops the compute. Where it does not, an abort must never be sent: the model would take the
    next request while its pipeline still runs, and spoil both."""
    body: Callable[[GenerationRequest], dict[str, object] | Form]
    """Return the body, which has known keys only."""
    reader: Callable[[GenerationRequest], Reader]
    """Return what reads the response to one request as it arrives."""
    missing: str | None = None
    """Lower-case text of the error of a model class without this route; the kind's other route then serves."""


class IdCheck(Struct, frozen=True, kw_only=True):
    """A POST that fails before any model is asked: for its id if that is in use, else for its body."""

    path: str
    body: Callable[[GenerationRequest], dict[str, object]]
    unused: str
    """Lower-case text of the error if the id is not in use."""


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

    name: KindName
    ability: Callable[[bool], str]
    """Return the ability that a model needs, one of `Model.abilities`, by whether an image is given."""
    abilities: frozenset[str]
    """All that `ability` may return. A model with one of them can do this kind."""
    fields: frozenset[str] = frozenset()
    """Fields of `generate` that are special to some kinds and that this one takes, of SPECIAL_FIELDS."""
    required: frozenset[str] = frozenset({"prompt"})
    """Fields of `generate` without which nothing can be made."""
    cancel_route: Route | None
    """The route with a true cancel, used for models that have it."""
    plain_route: Route
    """The route for all other models."""
    max_bytes: Callable[[GenerationRequest], int]
    """Return the maximum size of a response."""
    shows_end: Literal["progress", "abort"] | IdCheck = "progress"
    """What shows the end of a request whose connection was lost: the progress route, an abort that does not find the
    request, or that its id is not in use."""
    polled: bool = True
    """Whether the progress route knows its requests."""
    unknown_has_ended: bool
    """Whether a request that the progress route does not know (400) has ended. Otherwise nothing shows the end of a
    request whose connection was lost, and its slot stays occupied for `timeouts.silence`."""
    max_deaths: int
    """Number of requests that may die while running before the output fails; 1 allows no second one."""
    duration_key: Callable[[str, Params], DurationKey]
    """Return what the duration of an output depends on, from the model's uid and the parameters."""
    timeouts: Timeouts
    streams: bool = False
    """Whether its outputs are texts that arrive piece by piece. Closing the connection of one ends it."""
    step_count: Callable[[Params], int | None] = lambda params: params.steps
    """Return how many steps run, None if unknown."""
    strength: float | None = None
    """The strength of a request that names none; None for kinds without one."""
    chooses_size: bool = False
    """Whether the size of the output is the model's choice. What it starts from then keeps its proportions; for all
    others it gets exactly the size of the output."""
    finish: Callable[[Inputs, bytes], bytes] | None = None
    """Return the output's file from what it started from and what was made; called on a thread. May raise
    UpstreamGarbage."""

    def route(self, *, true_cancel: bool) -> Route:
        """Return the route for a model; `true_cancel` is whether the model has the route with a true cancel."""
        return self.cancel_route if true_cancel and self.cancel_route is not None else self.plain_route
