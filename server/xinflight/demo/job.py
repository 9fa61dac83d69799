"""One request to an emulated pipeline."""

import asyncio
from collections.abc import Callable, Hashable, Sequence
from typing import Literal

from xinflight.demo.drawing_request import DrawingRequest
from xinflight.demo.errors import HttpError
from xinflight.demo.faults import Faults

__all__ = ["Job", "Route"]

Route = Literal["txt2img", "img2img", "generations", "variations", "inpainting", "text2video", "image2video"]


class Job:
    """One request to a replica.

    `prepare` is called when the job's turn comes. `answer` resolves to the files or an `HttpError`. `torn` is done
    when the connection must be aborted, whatever the computation does.
    """

    def __init__(
        self,
        route: Route,
        request_id: Hashable,
        faults: Faults,
        prepare: Callable[[], Sequence[DrawingRequest]],
        response_format: object = "b64_json",
    ) -> None:
        loop = asyncio.get_running_loop()
        self.route = route
        self.request_id = request_id
        self.faults = faults
        self.prepare = prepare
        self.response_format = response_format
        self.answer: asyncio.Future[list[bytes]] = loop.create_future()
        self.torn: asyncio.Future[None] = loop.create_future()
        self.running = False
        self.stopping = False  # set by an abort, read at the end of each step
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    @property
    def stoppable(self) -> bool:
        """Whether an abort stops the computation."""
        return self.route in ("txt2img", "img2img")

    @property
    def decodes(self) -> bool:
        """Whether `prepare` decodes images, which belongs on a thread."""
        return self.route in ("img2img", "variations", "inpainting", "image2video")

    def fail(self, error: HttpError) -> None:
        """Set an error as the answer, unless there is an answer already."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def cancelled(self) -> HttpError:
        """Return the error response to an aborted request."""
        return HttpError(409, f"The request has been cancelled: {self.request_id}")
