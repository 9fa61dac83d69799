"""Version and features of the emulated Xinference."""

import msgspec

__all__ = ["EmulatorOptions"]


class EmulatorOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Version and features of the emulated server.

    Attributes:
        version: the version in `/v1/cluster/version`.
        txt2img_abort: False emulates a server before 3.4.0: txt2img has no request id and can't be aborted.
        progress_times: False emulates a server before 4.1.0: progress has no elapsed and remaining seconds.
        progress_span: smallest increase of progress that is reported (XINFERENCE_UPLOAD_PROGRESS_SPAN).
        api_key: enables authentication with this key.
        latency: seconds until the id of a request is known. An earlier abort finds nothing.
        ping_seconds: silence of a chat's stream after which a comment is sent (XINFERENCE_SSE_PING_ATTEMPTS_SECONDS).
    """

    version: str = "4.1.0"
    txt2img_abort: bool = True
    progress_times: bool = True
    progress_span: float = 0.05
    api_key: str | None = None
    latency: float = 0.003
    ping_seconds: float = 600.0
