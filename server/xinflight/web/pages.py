"""The gateway's own page."""

from types import CodeType
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp_jinja2
import jinja2
from aiohttp import hdrs, web

from xinflight.i18n import choose_language
from xinflight.web.assets import ENTRY, page_assets
from xinflight.web.client_static import CLIENT_STATIC
from xinflight.web.context import HttpContext
from xinflight.web.packing import dense
from xinflight.web.static_content import StaticContent
from xinflight.web.words import FillWords, Words, named_in

__all__ = ["Page"]

POLICY = (
    # blob: is an image that somebody has chosen and not uploaded yet.
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: {outputs}; "
    "media-src 'self' {outputs}; connect-src 'self'; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # No text ever becomes HTML or a script: browsers that know this refuse innerHTML and the like, except of the
    # fixed templates of lit-html, and the address of the service worker.
    "require-trusted-types-for 'script'; trusted-types lit-html xinflight-worker"
)
TEMPLATES = web.AppKey("xinflight_templates", jinja2.Environment)
ACCOUNT = "page/account/account.js"
"""What the entry imports only where people have to say who they are."""
THEMES = ("light", "dark")


class _Variant(NamedTuple):
    """What the page depends on.

    `theme` is one of THEMES, or empty for that of the system. `trusted` is whether the page was opened from itself or
    by its address: a link on another website could bring somebody else's token.
    """

    lang: str
    theme: str
    trusted: bool


class _Compiled(jinja2.BytecodeCache):
    """Templates that this process has compiled: that of the page takes longer than all else a gateway begins with."""

    def __init__(self) -> None:
        # By name, with the checksum of the source.
        self._code: dict[str, tuple[str, CodeType]] = {}

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Fill a bucket, unless its template was not compiled yet, or has changed since."""
        checksum, code = self._code.get(bucket.key, (None, None))
        if checksum == bucket.checksum:
            bucket.code = code

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Remember what was compiled."""
        if bucket.code is not None:
            self._code[bucket.key] = bucket.checksum, bucket.code


_compiled = _Compiled()


class Page:
    """The gateway's own page, rendered from a template: once for each variant, of which there are few."""

    def __init__(self, app: web.Application, context: HttpContext, version: str) -> None:
        self._context = context
        self._version = version
        self._words = Words(CLIENT_STATIC / "assets" / "words")
        public = urlsplit(context.gateway.settings.public_url or "")
        outputs = f"{public.scheme}://{public.netloc}" if public.netloc else ""
        self._headers = {
            # The page names the version of its modules, so that it must not be an old one.
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": POLICY.format(outputs=outputs),
            hdrs.VARY: "Accept-Language, Cookie, Sec-Fetch-Mode, Sec-Fetch-Site",
        }
        self._rendered: dict[_Variant, StaticContent] = {}
        if TEMPLATES not in app:
            # Under a key of its own, beside any templates of the host.
            environment = aiohttp_jinja2.setup(
                app,
                app_key=TEMPLATES,
                loader=jinja2.FileSystemLoader(CLIENT_STATIC / "templates"),
                bytecode_cache=_compiled,
                autoescape=True,
                auto_reload=False,
                extensions=[FillWords],
                undefined=jinja2.StrictUndefined,
                trim_blocks=True,
                lstrip_blocks=True,
            )
            # Chinese texts are half as long without escapes.
            environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
            # Load it now: the first request would read the file on the event loop.
            environment.get_template("index.html")

    async def index(self, request: web.Request) -> web.StreamResponse:
        """Handle GET /: return the page in the language of the request. Its links are relative, for any prefix."""
        self._context.check_allowed(request)
        await self._context.ensure_identity(request)
        variant = _Variant(
            lang=self._lang(request),
            theme=_one_of(THEMES, self._chosen(request, "theme")),
            # Not what a service worker asks for: whoever opens that later may come from anywhere.
            trusted=request.headers.get("Sec-Fetch-Mode") == "navigate"
            and request.headers.get("Sec-Fetch-Site") in ("none", "same-origin"),
        )
        if variant not in self._rendered:
            page = aiohttp_jinja2.render_string("index.html", request, self._variables(variant), app_key=TEMPLATES)
            self._rendered[variant] = StaticContent(dense(page).encode(), "text/html; charset=utf-8")
        return await self._rendered[variant].respond(request, self._headers)

    def _variables(self, variant: _Variant) -> dict[str, object]:
        languages, texts = self._words.languages, self._words.texts[variant.lang]
        position = [language.tag for language in languages].index(variant.lang)
        assets = page_assets()
        modules = assets.modules(ENTRY, *([] if self._context.login.mode == "none" else [ACCOUNT]))
        return {
            "lang": variant.lang,
            "theme": variant.theme,
            "gateway": self._context.name,
            "auth": self._context.login.mode,
            "trusted": variant.trusted,
            "demo": self._context.gateway.demo,
            "version": self._version,
            "assets": f"assets/{assets.version}",
            "modules": modules,
            "texts": texts,
            "words": {
                "lang": variant.lang,
                "languages": [language._asdict() for language in languages],
                # The others are loaded with the first part that is loaded later.
                "texts": named_in(texts, "".join(map(assets.text, modules))),
            },
            "next_language": languages[(position + 1) % len(languages)],
        }

    def _lang(self, request: web.Request) -> str:
        """Return the language asked for in the query, else chosen here before, else the one the browser prefers."""
        chosen = self._chosen(request, "lang")
        wanted = request.query.get("lang") or chosen or request.headers.get(hdrs.ACCEPT_LANGUAGE)
        return choose_language(wanted, self._context.gateway.settings.lang, list(self._words.texts))

    def _chosen(self, request: web.Request, what: str) -> str:
        """Return what the page has remembered of a choice (`choices.js`), in a cookie of this gateway."""
        return request.cookies.get(f"{self._context.name}-{what}", "")


def _one_of(offered: tuple[str, ...], asked: str) -> str:
    return asked if asked in offered else ""
