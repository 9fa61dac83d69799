"""What a log line of an output says of where it comes from."""

from typing import Any

import structlog

from scripted_gateway import ScriptedGateway, turns


async def test_an_output_logs_under_its_own_name_only() -> None:
    """Not under the connection of whoever asked for it, nor of whoever's request made room for it."""
    async with ScriptedGateway.begin() as gateway:
        send = gateway.upstream.serve
        seen: list[dict[str, object]] = []

        async def noted(method: str, path: str, body: Any) -> bytes:
            if "txt2img" in path:
                seen.append(structlog.contextvars.get_contextvars())
            return await send(method, path, body)

        gateway.upstream.serve = noted  # type: ignore[method-assign]
        for task_id in ("a", "b", "c"):
            with structlog.contextvars.bound_contextvars(connection=f"of {task_id}"):
                await gateway.submit(task_id=task_id)
                await turns()
        with structlog.contextvars.bound_contextvars(connection="of who cancels"):
            await gateway.front.cancel("ann", "a")
            gateway.upstream.pending[0].end("aborted")
            await turns()
        for _ in range(2):
            gateway.upstream.pending[0].end("image")
            await turns()
    assert all(len(str(context.pop("request_id"))) == 32 for context in seen)
    assert seen == [{"task": task_id, "output": 0} for task_id in ("a", "b", "c")]
