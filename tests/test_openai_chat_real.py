"""OpenAI's chat completions in front of a real Xinference."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from clients import WireClient
from conftest import Serve
from xinference_kinds import WRITER
from xinference_real import RealXinference

pytest_plugins = ["xinference_fixtures"]
pytestmark = pytest.mark.timeout(900)  # the first one also starts the server and its models


async def test_the_package_chats_and_is_cut_off(serve: Serve, real_xinference_kinds: RealXinference) -> None:
    """Whole and streamed are the same; what is closed stops, and with a key it goes on; the next text is whole."""
    url = await serve(xinference_url=real_xinference_kinds.url)
    request: dict[str, Any] = {
        "model": WRITER,
        "messages": [{"role": "user", "content": "a red boat 🚣"}],
        "temperature": 0,
        "max_tokens": 200,
    }
    async with AsyncOpenAI(base_url=f"{url}v1", api_key="none") as ai, WireClient.connect(url) as client:
        made = await ai.chat.completions.create(**request)
        text = made.choices[0].message.content
        assert text
        assert (made.choices[0].finish_reason, made.usage and made.usage.completion_tokens) == ("length", 200)

        async def streamed(**fields: Any) -> str:
            stream = await ai.chat.completions.create(**{**request, "stream": True, **fields})
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

        assert await streamed(stream_options={"include_usage": True}) == text
        await client.ask(action="follow", scope="all")
        for key in (None, "kept"):
            headers = {} if key is None else {"Idempotency-Key": key}
            long = {**request, "max_tokens": 3000, "stream": True, "extra_headers": headers}
            stream = await ai.chat.completions.create(**long)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
            await stream.close()
            if key is None:
                end = await client.until(lambda m: m["type"] == "cancelled")
                assert end["upstream"] == "stopped"
                assert end["data"][0]["incomplete"] is True
            else:
                whole = await ai.chat.completions.create(**{**long, "stream": False})
                assert whole.choices[0].message.content == (await client.ends(key))[key]["data"]["data"][0]["text"]
        with pytest.raises(openai.UnprocessableEntityError):
            await ai.chat.completions.create(**{**request, "max_tokens": 10**6})
        assert await streamed() == text
