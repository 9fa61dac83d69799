"""Generate three images at once, cancel the second, and get the other two.

Start a server with `xinflight serve --demo`, then run this with `python examples/three_images.py`.
"""

import asyncio
import json
import sys
from uuid import uuid4

from websockets.asyncio.client import connect


async def main(url: str) -> None:
    """Run the three generations over one WebSocket."""
    # A client-chosen id makes it safe to send the same message again after a lost connection.
    dawn, noon, night = (f"{name}-{uuid4()}" for name in ("dawn", "noon", "night"))
    unfinished = {dawn, noon, night}
    cancelled = False
    async with connect(url) as socket:
        for task_id in (dawn, noon, night):
            prompt = f"a red boat at {task_id.partition('-')[0]}"
            await socket.send(json.dumps({"action": "generate", "task_id": task_id, "prompt": prompt}))
        while unfinished:
            message = json.loads(await socket.recv())
            task_id = message.get("task_id")
            match message["type"]:
                case "progress":
                    print(f"{task_id:.8} {message['progress']:3} % {message['message']}")
                    if task_id == noon and message["state"] == "running" and not cancelled:
                        cancelled = True
                        await socket.send(json.dumps({"action": "cancel", "task_id": noon}))
                case "result":
                    print(f"{task_id:.8} {message['data']['data'][0]['url']}")
                    unfinished.discard(task_id)
                case "cancelled":
                    print(f"{task_id:.8} cancelled: {message['upstream']} after {message['seconds']} s")
                    unfinished.discard(task_id)
                case "error":
                    print(f"{task_id or '':.8} {message['code']}: {message['message']}")
                    unfinished.discard(task_id)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:8000/ws/generate"))
