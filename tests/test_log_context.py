"""What a log line of a picture says of where it comes from."""

from typing import Any

import structlog

from life import Life, turns


async def test_a_picture_logs_under_its_own_name_only() -> None:
    """Not under the connection of whoever asked for it, nor of whoever's request made room for it."""
    async with Life.begin() as life:
        send = life.upstream._send
        seen: list[dict[str, object]] = []

        async def noted(method: str, path: str, *rest: Any, **more: Any) -> bytes:
            if "txt2img" in path:
                seen.append(structlog.contextvars.get_contextvars())
            return await send(method, path, *rest, **more)

        life.upstream._send = noted  # type: ignore[method-assign]
        for task_id in ("a", "b", "c"):
            with structlog.contextvars.bound_contextvars(connection=f"of {task_id}"):
                await life.submit(task_id=task_id)
                await turns()
        with structlog.contextvars.bound_contextvars(connection="of who cancels"):
            await life.manager.cancel("ann", "a")
            life.upstream.pending[0].end("aborted")
            await turns()
        for _ in range(2):
            life.upstream.pending[0].end("picture")
            await turns()
    assert seen == [{"task": task_id, "picture": 0} for task_id in ("a", "b", "c")]
