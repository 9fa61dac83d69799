"""OpenAI's API of chat completions, so that its clients work unchanged.

Formats: platform.openai.com/docs/api-reference/chat/create and .../chat-streaming.
"""

import msgspec
from aiohttp import hdrs, web

from xinflight.model import Task
from xinflight.protocol import (
    Cancelled,
    ChatEnd,
    Delta,
    Error,
    OpenAiChatAnswer,
    OpenAiChatChoice,
    OpenAiChatChunk,
    OpenAiChatDelta,
    OpenAiChatMessage,
    OpenAiChunkChoice,
    OutputRef,
    Result,
    decode_openai_chat,
)
from xinflight.web.bodies import NO_STORE, PLAIN, idempotency_key, read_body
from xinflight.web.context import HttpContext, write_whole
from xinflight.web.openai_reader import OpenAiReader, failure

__all__ = ["OpenAiChats"]


class OpenAiChats:
    """The handler of `/v1/chat/completions`."""

    def __init__(self, context: HttpContext) -> None:
        self._context = context
        self._gateway = context.gateway

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """Handle POST /v1/chat/completions: return the text of one chat, or stream it.

        The request stands for the chat: a client that closes its connection cancels it. With an Idempotency-Key, or
        a `task_id`, the chat goes on, and the same request finds it: a stream begins with the whole text so far.
        """
        context, gateway = self._context, self._gateway
        identity = await context.identity(request)
        wanted = decode_openai_chat(await read_body(context, request, gateway.settings.chat_bytes))
        chat = wanted.chat()
        chat.task_id = idempotency_key(request, chat.task_id)
        with context.stream(request, identity.id):
            subscriber = await gateway.subscribe(identity.id)
            reader = OpenAiReader(context, request, subscriber)
            unnamed = None
            try:
                with reader.registered():
                    task, _ = await gateway.submit(chat, identity, subscriber, context.addresses.client(request))
                    if chat.task_id is None:
                        unnamed = task
                    headers: dict[str, str] = {hdrs.LOCATION: context.url(request, "task", task_id=task.task_id)}
                    if wanted.stream:
                        usage = wanted.include_usage
                        return await reader.stream(
                            lambda response: _Stream(reader, task, response).write(include_usage=usage), headers
                        )
                    return await _whole(reader, request, task, headers, named=unnamed is None)
            finally:
                gateway.unsubscribe(subscriber)
                if unnamed is not None and not unnamed.ended:
                    await gateway.cancel(identity.id, unnamed.task_id)


async def _whole(
    reader: OpenAiReader, request: web.Request, task: Task, headers: dict[str, str], *, named: bool
) -> web.StreamResponse:
    """Wait for the chat's end and send its text; raise the error that it ended with.

    `named`: the request has an id, so that the same request finds this chat.
    """
    while True:
        # A token that was valid for the request is valid for its only response.
        event = await reader.next_event(ends_at_expiry=False)
        message = None if event is None else event.message
        if isinstance(message, Cancelled | Error):
            error = failure(message)
            error.found = named
            raise error
        if event is not None and isinstance(message, Result):
            body = msgspec.json.encode(_answer(task, message))
            response = web.Response(body=body, content_type=PLAIN, headers={**NO_STORE, **headers})
            if await write_whole(request, response, reader.context.cors(request)):
                reader.context.gateway.deliveries.written(event, message)
            return response


def _answer(task: Task, result: Result) -> OpenAiChatAnswer:
    (output,) = result.data.data
    end = output.chat or ChatEnd()
    message = OpenAiChatMessage(
        content=output.text or (None if end.tool_calls else ""),
        reasoning_content=output.reasoning,
        tool_calls=end.tool_calls,
    )
    return OpenAiChatAnswer(
        id=task.task_id,
        created=int(task.created),
        model=task.params.model or "",
        choices=[OpenAiChatChoice(message=message, finish_reason=end.finish_reason)],
        usage=end.usage,
        truncated=end.truncated,
    )


class _Stream:
    """Write a chat as chunks. What a delta repeats of the text that was written is left out."""

    def __init__(self, reader: OpenAiReader, task: Task, response: web.StreamResponse) -> None:
        self._reader = reader
        self._task = task
        self._response = response
        # Code points that were written of each channel.
        self._written = {"text": 0, "reasoning": 0}

    async def write(self, *, include_usage: bool) -> None:
        """Write to the end of the chat; raise the error that it ended with."""
        await self._send(OpenAiChatDelta(role="assistant", content=""))
        while True:
            event = await self._reader.next_event()
            message = None if event is None else event.message
            match message:
                case None:
                    # There is no `id:` in this stream: with one, OpenAI's clients would take a comment for an event.
                    await self._reader.write(self._response, b": keep-alive\n\n")
                case Delta():
                    await self._grow(message.channel, message.offset, message.text)
                case Cancelled() | Error():
                    await self._finish(message.data)
                    raise failure(message)
                case Result():
                    end = await self._finish(message.data.data)
                    await self._send_end(end, include_usage=include_usage)
                    assert event is not None  # it has the message
                    self._reader.context.gateway.deliveries.written(event, message)
                    return

    async def _grow(self, channel: str, offset: int, text: str) -> None:
        """Write what is new of a piece of text."""
        new = text[max(self._written[channel] - offset, 0) :]
        if new:
            self._written[channel] += len(new)
            is_text = channel == "text"
            await self._send(OpenAiChatDelta(content=new) if is_text else OpenAiChatDelta(reasoning_content=new))

    async def _finish(self, outputs: list[OutputRef]) -> ChatEnd:
        """Write what is missing of the text, whose deltas are deleted at its end; return how it ended."""
        for output in outputs:
            await self._grow("reasoning", 0, output.reasoning or "")
            await self._grow("text", 0, output.text or "")
            if output.chat is not None:
                return output.chat
        return ChatEnd()

    async def _send_end(self, end: ChatEnd, *, include_usage: bool) -> None:
        if end.tool_calls:
            calls = [{"index": index, **call} for index, call in enumerate(end.tool_calls)]
            await self._send(OpenAiChatDelta(tool_calls=calls))
        last = self._chunk([OpenAiChunkChoice(delta=OpenAiChatDelta(), finish_reason=end.finish_reason)])
        last.truncated = end.truncated
        await self._write(last)
        if include_usage:
            counted = self._chunk([])
            counted.usage = end.usage
            await self._write(counted)
        await self._reader.write(self._response, b"data: [DONE]\n\n")
        await self._response.write_eof()

    async def _send(self, delta: OpenAiChatDelta) -> None:
        await self._write(self._chunk([OpenAiChunkChoice(delta=delta, finish_reason=None)]))

    def _chunk(self, choices: list[OpenAiChunkChoice]) -> OpenAiChatChunk:
        task = self._task
        return OpenAiChatChunk(
            id=task.task_id, created=int(task.created), model=task.params.model or "", choices=choices
        )

    async def _write(self, chunk: OpenAiChatChunk) -> None:
        await self._reader.write(self._response, b"data: %b\n\n" % msgspec.json.encode(chunk))
