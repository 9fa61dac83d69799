"""An aiohttp service whose users log in with aiohttp-session, and see the page of xinflight at /images/.

Install `aiohttp-session[secure]`, then run it with `python examples/with_sessions.py` and log in as ann, `sesame`.
"""

from typing import Any

from aiohttp import web
from aiohttp_session import get_session, new_session
from aiohttp_session import setup as setup_sessions
from aiohttp_session.cookie_storage import EncryptedCookieStorage
from cryptography.fernet import Fernet

import xinflight

PASSWORDS = {"ann": "sesame", "bob": "open"}  # Yours are hashed, and in a database.
SESSION = 8 * 3600
FORM = """<!doctype html><title>Log in</title><form method="post">
<input name="name" autocomplete="username" placeholder="Name">
<input name="password" type="password" autocomplete="current-password" placeholder="Password">
<button>Log in</button></form>"""


async def who(request: web.Request, token: str | None) -> xinflight.Identity | None:
    """Return the owner of a request by its session, with the time at which open connections must end, too."""
    session = await get_session(request)
    user = session.get("user")
    return None if user is None else xinflight.Identity(id=user, expires=session.created + SESSION)


async def form(request: web.Request) -> web.Response:
    """Show the form."""
    return web.Response(text=FORM, content_type="text/html")


async def log_in(request: web.Request) -> web.Response:
    """Start a session for the right password."""
    data = await request.post()
    name = str(data.get("name"))
    if name not in PASSWORDS or PASSWORDS[name] != data.get("password"):
        return web.Response(status=403, text=FORM, content_type="text/html")
    (await new_session(request))["user"] = name
    raise web.HTTPSeeOther("/images/")


async def log_out(request: web.Request) -> web.Response:
    """End the session."""
    (await get_session(request)).invalidate()
    raise web.HTTPSeeOther("/log-in")


def create_app(settings: xinflight.Settings, **options: Any) -> web.Application:
    """Mount the gateway at /images, behind the service's own log-in."""
    app = web.Application()
    setup_sessions(app, EncryptedCookieStorage(Fernet(Fernet.generate_key()), max_age=SESSION, samesite="Strict"))
    app.add_routes([web.get("/log-in", form), web.post("/log-in", log_in), web.post("/log-out", log_out)])
    xinflight.setup(app, settings, prefix="/images", authenticate=who, page=True, **options)
    return app


if __name__ == "__main__":
    web.run_app(create_app(xinflight.Settings(xinference_url="http://localhost:9997")), host="127.0.0.1", port=8080)
