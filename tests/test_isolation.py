"""Isolation by construction: every route and every action is found by enumeration, and tells nothing of others.

`bob` sends the same requests to two servers that differ only in whose tasks are there, and under which ids. Whatever
he is told must be the same, so nothing of others shows: no existence, no count, no place in a history.
"""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, get_args

import pytest
from aiohttp import web

from clients import Json, WireClient
from isolation_worlds import BOB, IMAGES, Ids, World, connected, form, worlds
from streams import who
from xinflight.app import setup
from xinflight.protocol import Request
from xinflight.settings import Settings

Probes = Callable[[Ids], list[tuple[str, dict[str, Any]]]]
"""Returns paths and options of requests that ask for what is somebody else's."""

PUBLIC = {
    ("GET", "/"): "the same for everybody",
    ("GET", "/assets/{file}"): "the same for everybody",
    ("GET", "/docs/{name}"): "the same for everybody",
    ("GET", "/healthz"): "the state of the server; nothing of an owner",
    ("GET", "/readyz"): "the state of the server; nothing of an owner",
    ("GET", "/shared/{secret}"): "what an owner has shared, for whoever was given the secret (test_shares)",
    ("GET", "/shared/{secret}/thumbnail"): "the same",
    ("POST", "/login"): "exchanges the caller's own token for a cookie",
    ("POST", "/logout"): "deletes the caller's own cookie",
}
ADMIN = {
    ("POST", "/api/v1/notices"),
    ("GET", "/api/v1/admin/status"),
    ("GET", "/api/v1/admin/queue"),
    ("GET", "/api/v1/admin/owners"),
    ("POST", "/api/v1/admin/hold"),
    ("POST", "/api/v1/admin/release"),
    ("POST", "/api/v1/admin/drain"),
}
"""Refused for everybody else, whatever they ask for."""
FOR_OTHERS = ("/cancel", "/move", "/pause", "/unpause")
"""What admins may do for others."""
OF_ACTIONS = {("GET", "/ws/generate")}
"""By its actions, below."""


def of_tasks(suffix: str = "", **options: Any) -> Probes:
    """Ask for each of the tasks."""
    return lambda ids: [
        (f"/api/v1/tasks/{task_id}{suffix}", options) for task_id in (ids.done, ids.running, ids.waiting)
    ]


def for_owner(path: str, **options: Any) -> Probes:
    """Ask for one's own, then for the other owner's by name."""
    return lambda ids: [(path, options), (path, {**options, "params": {"owner": ids.owner}})]


def one(path: str, **options: Any) -> Probes:
    return lambda _: [(path, options)]


HELLO = [{"role": "user", "content": "Hello"}]


OWN: dict[tuple[str, str], Probes] = {
    ("GET", "/api/v1/tasks"): lambda ids: [
        ("/api/v1/tasks", {"params": params})
        for params in (
            *({}, {"cursor": "1"}, {"cursor": "999"}, {"state": "unfinished"}, {"limit": "1"}),
            *({"group": ids.group}, {"group": ids.group, "state": "completed"}),
            *({"search": "poem"}, {"search": ids.owner, "starred": "true"}, {"tag": "sea"}, {"since": "1"}),
        )
    ],
    ("GET", "/api/v1/tasks/{task_id}"): of_tasks(),
    ("GET", "/api/v1/tasks/{task_id}/events"): of_tasks("/events", headers={"Accept": "text/event-stream"}),
    ("GET", "/api/v1/tasks/{task_id}/outputs/{index}"): of_tasks("/outputs/0"),
    ("GET", "/api/v1/tasks/{task_id}/messages"): of_tasks("/messages"),
    ("GET", "/outputs/{output_id}"): lambda ids: [(f"/outputs/{ids.output}", {})],
    ("GET", "/outputs/{output_id}/thumbnail"): lambda ids: [(f"/outputs/{ids.output}/thumbnail", {})],
    ("GET", "/api/v1/models"): one("/api/v1/models"),
    ("GET", "/v1/models"): one("/v1/models"),
    ("GET", "/v1/models/{model}"): one("/v1/models/painter"),
    ("GET", "/api/v1/uploads"): lambda _: [
        ("/api/v1/uploads", {"params": params}) for params in ({}, {"cursor": "1"}, {"limit": "1"})
    ],
    ("GET", "/api/v1/uploads/{upload_id}"): lambda ids: [(f"/api/v1/uploads/{ids.upload}", {})],
    ("DELETE", "/api/v1/uploads/{upload_id}"): lambda ids: [(f"/api/v1/uploads/{ids.upload}", {})],
    ("GET", "/api/v1/shares"): lambda ids: [
        ("/api/v1/shares", {"params": params}) for params in ({}, {"cursor": "99"}, {"task_id": ids.done})
    ],
    ("POST", "/api/v1/shares"): lambda ids: [
        ("/api/v1/shares", {"json": {"task_id": task_id}}) for task_id in (ids.done, ids.running)
    ],
    ("DELETE", "/api/v1/shares/{share_id}"): lambda ids: [(f"/api/v1/shares/{ids.share}", {})],
    ("GET", "/api/v1/account"): for_owner("/api/v1/account"),
    ("GET", "/api/v1/account/usage"): lambda ids: [
        *for_owner("/api/v1/account/usage")(ids),
        ("/api/v1/account/usage", {"params": {"scope": "all"}}),
    ],
    ("GET", "/api/v1/account/export"): for_owner("/api/v1/account/export"),
    ("POST", "/api/v1/tasks/{task_id}/cancel"): lambda ids: [
        *of_tasks("/cancel")(ids),
        *of_tasks("/cancel", json={"index": 0})(ids),
        *of_tasks("/cancel", params={"owner": ids.owner})(ids),
    ],
    ("GET", "/api/v1/queue"): for_owner("/api/v1/queue"),
    ("POST", "/api/v1/tasks/{task_id}/move"): lambda ids: [
        *of_tasks("/move", json={"to": "first"})(ids),
        *of_tasks("/move", json={"before": ids.waiting})(ids),
        *of_tasks("/move", json={"to": "first"}, params={"owner": ids.owner})(ids),
    ],
    ("POST", "/api/v1/tasks/{task_id}/mark"): of_tasks("/mark", json={"starred": True, "tags": ["mine"]}),
    ("DELETE", "/api/v1/tasks/{task_id}/outputs/{index}"): of_tasks("/outputs/0"),
    ("POST", "/api/v1/tasks/{task_id}/outputs/{index}/restore"): of_tasks("/outputs/0/restore"),
    ("GET", "/api/v1/tags"): lambda _: [("/api/v1/tags", {"params": params}) for params in ({}, {"prefix": "s"})],
    ("GET", "/api/v1/account/preferences"): for_owner("/api/v1/account/preferences"),
    ("PATCH", "/api/v1/account/preferences"): for_owner("/api/v1/account/preferences", json={"theme": "dark"}),
    ("GET", "/api/v1/account/presets"): for_owner("/api/v1/account/presets"),
    ("PATCH", "/api/v1/account/presets"): for_owner("/api/v1/account/presets", json={"delete": ["Portrait"]}),
    ("POST", "/api/v1/groups/{group}/cancel"): lambda ids: for_owner(f"/api/v1/groups/{ids.group}/cancel")(ids),
    ("POST", "/api/v1/tasks/{task_id}/pause"): lambda ids: [
        *of_tasks("/pause")(ids),
        *of_tasks("/pause", params={"owner": ids.owner})(ids),
    ],
    ("POST", "/api/v1/tasks/{task_id}/unpause"): lambda ids: [
        *of_tasks("/unpause")(ids),
        *of_tasks("/unpause", params={"owner": ids.owner})(ids),
    ],
    ("POST", "/api/v1/tasks/cancel"): for_owner("/api/v1/tasks/cancel"),
    ("POST", "/api/v1/tasks/pause"): for_owner("/api/v1/tasks/pause"),
    ("POST", "/api/v1/tasks/unpause"): for_owner("/api/v1/tasks/unpause"),
    ("DELETE", "/api/v1/tasks/{task_id}"): of_tasks(),
    ("DELETE", "/api/v1/account"): for_owner("/api/v1/account"),
    ("POST", "/api/v1/chats"): lambda ids: [
        ("/api/v1/chats", {"json": {"messages": HELLO, "task_id": task_id}}) for task_id in (ids.done, ids.running)
    ],
    ("POST", "/v1/chat/completions"): lambda ids: [
        ("/v1/chat/completions", {"json": {"messages": HELLO}, "headers": {"Idempotency-Key": ids.done}})
    ],
    # The last ones, since from here on bob has tasks under the same ids.
    ("POST", "/api/v1/tasks"): lambda ids: [
        ("/api/v1/tasks", {"json": {"prompt": "mine", "task_id": ids.done, "seed": 1, "timeout": 50}}),
        ("/api/v1/tasks", {"json": {"prompt": "other content", "task_id": ids.running, "seed": 1, "n": 2}}),
        *(
            ("/api/v1/tasks", {"json": {"prompt": "mine", "image": image, "mask": ids.upload}})
            for image in (ids.upload, ids.output)
        ),
    ],
    # Ann has it on one of the servers, and nobody on the other.
    ("POST", "/api/v1/uploads"): one("/api/v1/uploads", data=IMAGES["ann"], headers={"Content-Type": "image/png"}),
    ("POST", "/v1/images/edits"): lambda ids: form("/v1/images/edits", ids),
    ("POST", "/v1/images/variations"): lambda ids: form("/v1/images/variations", ids),
    ("GET", "/api/v1/events"): one("/api/v1/events"),
    ("POST", "/v1/images/generations"): one("/v1/images/generations"),
}
"""Answered of the caller's own only."""
STREAMED = {("GET", "/api/v1/events"), ("POST", "/v1/images/generations")}
"""Of these, whose answers do not end while a task waits, there are tests of their own below."""

ACTIONS: dict[str, Callable[[Ids], list[Json]]] = {
    "authenticate": lambda ids: [{"token": ids.owner}],
    "ping": lambda _: [{"nonce": "x"}],
    "list": lambda ids: [
        *({}, {"cursor": "1"}, {"cursor": "999"}, {"state": "unfinished"}, {"state": "completed"}),
        {"group": ids.group},
        *({"search": "poem"}, {"search": ids.owner}, {"starred": True}, {"tag": "sea"}, {"kind": "text2image"}),
    ],
    "mark": lambda ids: [{"task_id": ids.done, "starred": True}, {"task_id": ids.running, "index": 0, "tags": ["a"]}],
    "restore": lambda ids: [{"task_id": ids.done, "index": 0}],
    "prefer": lambda _: [{}, {"change": {"theme": "light"}}],
    "preset": lambda _: [{}, {"change": {"delete": ["Portrait"]}}],
    "follow": lambda ids: [
        {"task_id": ids.done},
        {"task_id": ids.running},
        {"task_id": ids.running, "after": "EPOCH:0"},
        {"scope": "all", "after": "EPOCH:0"},
        {"scope": "all", "after": "EPOCH:1"},
        {"scope": "all"},
    ],
    "unfollow": lambda ids: [{"task_id": ids.done}, {"task_id": ids.running}],
    "resume": lambda ids: [
        {"tasks": [ids.done, ids.running, ids.waiting], "after": "EPOCH:0"},
        {"tasks": [ids.done], "after": "EPOCH:2"},
        {"scope": "all", "after": "EPOCH:0"},
        {"scope": "all", "after": "EPOCH:3"},
    ],
    "cancel": lambda ids: [
        *({"task_id": task_id} for task_id in (ids.done, ids.running, ids.waiting)),
        {"task_id": ids.running, "index": 0},
        {"group": ids.group},
        {"group": ids.group, "owner": ids.owner},
        {"scope": "all"},
        {"scope": "all", "owner": ids.owner},
        {"task_id": ids.running, "owner": ids.owner},
        {"task_id": ids.running, "owner": "nobody"},
    ],
    "move": lambda ids: [
        *({"task_id": task_id, "to": "first"} for task_id in (ids.done, ids.running, ids.waiting)),
        {"task_id": ids.waiting, "before": ids.running},
        {"task_id": ids.waiting, "to": "first", "owner": ids.owner},
    ],
    "pause": lambda ids: [
        *({"task_id": ids.waiting}, {"scope": "all"}),
        *({"task_id": ids.waiting, "owner": ids.owner}, {"scope": "all", "owner": ids.owner}),
    ],
    "unpause": lambda ids: [
        *({"task_id": ids.waiting}, {"scope": "all"}),
        *({"task_id": ids.waiting, "owner": ids.owner}, {"scope": "all", "owner": ids.owner}),
    ],
    "delete": lambda ids: [{"task_id": ids.done, "index": 0}, {"task_id": ids.done}, {"task_id": ids.running}],
    "chat": lambda ids: [
        {"messages": [{"role": "user", "content": "mine"}], "task_id": ids.done},
        {"messages": [{"role": "user", "content": "mine"}], "task_id": ids.running},
        {"messages": [{"role": "user", "content": [{"type": "image", "image": ids.upload}]}]},
    ],
    "generate": lambda ids: [
        {"prompt": "mine", "task_id": ids.done, "seed": 1},
        {"prompt": "other content", "task_id": ids.running, "seed": 1, "n": 2},
        {"prompt": "mine", "image": ids.upload},
        {"prompt": "mine", "image": ids.output},
    ],
}
"""Requests of each action that ask for what is somebody else's."""


@pytest.fixture
async def both() -> AsyncIterator[tuple[World, World]]:
    async with worlds() as made:
        yield made


def routes() -> dict[tuple[str, str], Any]:
    """Return the handler of every route of a gateway, with and without a log-in of its own, by method and path."""
    found = {}
    nowhere = Settings(xinference_url="http://127.0.0.1:9")
    for settings, authenticate in (
        (nowhere, who),
        (Settings(xinference_url="http://127.0.0.1:9", auth="tokens", data_dir="never opened"), None),
    ):
        app = web.Application()
        setup(app, settings, authenticate=authenticate, page=True)
        for route in app.router.routes():
            assert route.resource is not None
            found[route.method, route.resource.canonical] = route.handler
    return found


# Nothing is forgotten


def test_every_route_is_listed() -> None:
    """A new route must be public for a reason, for admins, or answer of the caller's own, with probes for that."""
    methods = {route for route in routes() if route[0] not in ("HEAD", "OPTIONS")}
    assert methods == {*PUBLIC, *ADMIN, *OF_ACTIONS, *OWN}


def test_head_is_what_get_is() -> None:
    found = routes()
    for (method, path), handler in found.items():
        if method == "HEAD":
            assert handler == found["GET", path]


def test_every_action_is_listed() -> None:
    assert set(ACTIONS) == {message.__struct_config__.tag for message in get_args(Request)}


# Nothing is told, and nothing changes


async def test_no_request_tells_anything_of_others(both: tuple[World, World]) -> None:
    world = both[0]
    stranger = {"X-User": world.ids.owner}
    before = await world.tasks(stranger)
    told = []
    for route, probes in OWN.items():
        if route in STREAMED:
            continue
        for path, options in probes(world.ids):
            here, there = [await each.ask(route[0], path, **options) for each in both]
            assert here == there, (route, path, options)
            told.append((route, here))
    statuses = {route: {answer["status"] for each, answer in told if each == route} for route in OWN}
    # A group is nothing but a name, so it is never unknown.
    of_groups = {route for route in OWN if "{group}" in route[1]}
    for_admins = {route for route in OWN if route[1].endswith(FOR_OTHERS) and "{" in route[1]} - of_groups
    of_nobody = of_groups | {("GET", "/v1/models/{model}")}
    assert all(statuses[route] == {404} for route in OWN.keys() - for_admins - of_nobody if "{" in route[1])
    assert all(statuses[route] == {404, 403} for route in for_admins)
    assert all(statuses[route] == {200, 403} for route in of_groups)
    assert statuses["POST", "/api/v1/tasks"] == {202, 404}, "ids are unique per owner only, and images nobody else's"
    # What was accepted has the ids that bob gave it himself.
    bodies = [answer["body"] for _, answer in told if answer["status"] != 202]
    assert not re.search(rf"poem|{world.ids.owner}\W*(-|$)", str(bodies))
    assert await world.tasks(stranger) == before
    async with world.http.get(f"/outputs/{world.ids.output}", headers=stranger) as response:
        assert response.status == 200
    async with world.http.get("/api/v1/shares", headers=stranger) as response:
        assert [share["id"] for share in (await response.json())["shares"]] == [world.ids.share]


async def test_only_admins_do_what_is_for_admins(both: tuple[World, World]) -> None:
    for method, path in sorted(ADMIN):
        for body in ({}, {"text": "hello"}, {"text": "hello", "owner": both[0].ids.owner}):
            here, there = [await world.ask(method, path, json=body) for world in both]
            assert here == there
            assert (here["status"], here["body"]["code"]) == (403, "forbidden")


async def exchange(world: World, ids: Ids) -> tuple[list[Json], list[Json]]:
    """Send all that asks for somebody else's; return the answers, and whatever else arrived."""
    async with connected(world) as client:
        epoch = client.seen[0]["epoch"]
        answers = [client.seen[0]]
        for action, messages in ACTIONS.items():
            for message in messages(ids):
                sent = (
                    {**message, "after": message["after"].replace("EPOCH", epoch)} if "after" in message else message
                )
                answers.append(await client.ask(action=action, **sent))
        refs = {answer.get("ref") for answer in answers}
        rest = [message for message in client.seen[1:] if message.get("ref") not in refs]
        return [world.without_changing(answer) for answer in answers], rest


async def test_no_action_tells_anything_of_others(both: tuple[World, World]) -> None:
    """`welcome`, answers, cursors and seqs are the same; no event of another owner arrives."""
    world = both[0]
    stranger = {"X-User": world.ids.owner}
    before = await world.tasks(stranger)
    (here, events), (there, _) = [await exchange(each, world.ids) for each in both]
    for answer, expected in zip(here, there, strict=True):
        answer.pop("ref", None)
        expected.pop("ref", None)
        assert answer == expected
    assert all("poem" not in str(message) for message in (here, events))
    assert await world.tasks(stranger) == before
    own = await world.tasks(BOB)
    assert {task_id for task_id, _ in own} == {world.ids.done, world.ids.running}
    for message in events:
        assert message["type"] in ("accepted", "progress", "recovered"), message
        assert message["task_id"] in dict(own)


async def test_no_stream_carries_anything_of_others(both: tuple[World, World]) -> None:
    """What happens to others meanwhile is not on it, over SSE and the socket; nor are notices to them."""
    boss = {"X-User": "boss"}
    for world in both:
        ids = world.ids
        async with (
            connected(world) as client,
            world.http.get("/api/v1/events", headers={**BOB, "Accept": "application/x-ndjson"}) as stream,
        ):
            await client.ask(action="follow", scope="all")
            await world.ask("POST", f"/api/v1/tasks/{ids.waiting}/cancel", {"X-User": ids.owner})
            await world.ask("DELETE", f"/api/v1/tasks/{ids.done}", {"X-User": ids.owner})
            await world.ask("POST", "/api/v1/notices", boss, json={"text": "theirs", "owner": ids.owner})
            await world.ask("POST", "/api/v1/notices", boss, json={"text": "yours", "owner": "bob"})
            assert (await client.until(lambda message: message["type"] == "notice"))["message"] == "yours"
            assert [message["type"] for message in client.seen] == ["welcome", "recovered", "notice"]
            line = await stream.content.readline()
            assert world.plain(line) == {"type": "notice", "kind": "host", "message": "yours"}


async def test_openai_makes_the_callers_own(both: tuple[World, World]) -> None:
    """The id of somebody else's task stands for a new one; its image is neither shown nor shared."""
    world = both[0]
    world.engine.faults = type(world.engine.faults)()
    world.engine.thaw()
    posts = len(world.engine.posts)
    body = {"prompt": f"{world.ids.owner}'s poem", "seed": 7, "steps": 4, "task_id": world.ids.done}
    async with world.http.post("/v1/images/generations", json=body, headers=BOB) as response:
        (image,) = (await response.json())["data"]
    assert len(world.engine.posts) > posts
    assert world.ids.output not in image["url"]
    assert (world.ids.done, "completed") in await world.tasks(BOB)


# One's own


async def test_every_device_of_an_owner_sees_all_of_it_live_and_a_stranger_nothing(both: tuple[World, World]) -> None:
    world = both[0]
    ann = {"X-User": world.ids.owner}
    async with connected(world, ann) as phone, connected(world, ann) as desk, connected(world) as stranger:
        devices = (phone, desk)
        for client in (*devices, stranger):
            await client.ask(action="follow", scope="all")
        await desk.ask(action="generate", prompt="boat", task_id="new", seed=1)
        await phone.ask(action="cancel", task_id="new")
        ends = [(await client.ends("new"))["new"] for client in devices]
        assert ends[0] == ends[1]
        assert ends[0]["type"] == "cancelled"
        accepted = [client.of("new", "accepted") for client in devices]
        assert len(accepted[0]) == 1
        assert accepted[0] == accepted[1]
        await phone.ask(action="delete", task_id="new")
        for client in devices:
            await client.ask(action="ping")
            assert [notice["task_id"] for notice in client.of("new", "notice")] == ["new"]
        await stranger.ask(action="ping")
        assert [message["type"] for message in stranger.seen] == ["welcome", "recovered", "pong"]


async def test_two_owners_use_the_same_id(both: tuple[World, World]) -> None:
    """Two tasks, two cancels, two histories; the uid inside tells them apart."""
    world = both[0]
    users = [{"X-User": name} for name in ("dora", "emil")]
    async with connected(world, users[0]) as dora, connected(world, users[1]) as emil:
        clients: list[WireClient] = [dora, emil]
        for client in clients:
            ack = await client.ask(action="generate", prompt=f"by {client.seen[0]['owner']}", task_id="a")
            assert ack["params"]["prompt"] == f"by {client.seen[0]['owner']}"
        await dora.ask(action="cancel", task_id="a")
        assert (await dora.ends("a"))["a"]["type"] == "cancelled"
        (task,) = (await emil.ask(action="list"))["tasks"]
        assert (task["state"], task["params"]["prompt"]) == ("queued", "by emil")
        assert not [message for message in emil.seen if message["type"] == "cancelled"]


async def test_who_is_an_admin_may_change_between_requests(both: tuple[World, World]) -> None:
    """A host's function is asked for each request; a connection keeps what it was told at its start."""
    world = both[0]
    path = f"/api/v1/tasks/{world.ids.waiting}/cancel"
    sent = {"params": {"owner": world.ids.owner}}
    assert (await world.ask("POST", path, {"X-User": "bob"}, **sent))["status"] == 403
    assert (await world.ask("POST", path, {"X-User": "boss"}, **sent))["status"] == 200
    assert (await world.ask("POST", path, {"X-User": "bob"}, **sent))["status"] == 403
    assert (await world.ask("GET", f"/outputs/{world.ids.output}", {"X-User": "boss"}))["status"] == 200
    assert (await world.ask("GET", f"/outputs/{world.ids.output}", {"X-User": "bob"}))["status"] == 404
