"""The files of the page: kept for good by their version, compressed once, and told to the browser at once."""

import gzip
import json
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from posixpath import dirname, join, normpath

import aiohttp
import pytest

from conftest import Serve
from node_tools import node_tools, run_node
from xinflight.web import static_content
from xinflight.web.assets import AssetFiles, page_assets, read_assets, without_comments
from xinflight.web.client_static import CLIENT_STATIC
from xinflight.web.packing import dense, imports

AWAY = "http://127.0.0.1:9"
ASSETS = CLIENT_STATIC / "assets"


async def get(url: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers and the body as it comes."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    skipped = () if "Accept-Encoding" in names else ("Accept-Encoding",)
    async with (
        aiohttp.ClientSession(auto_decompress=False, skip_auto_headers=skipped) as http,
        http.get(url, headers=names) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


async def versioned(url: str) -> str:
    """Return the URL below which the page has its files."""
    _, _, page = await get(url)
    found = re.search(rb'src="(assets/v-[0-9a-f]+/)page/', page)
    assert found
    return url + found[1].decode()


async def test_files_of_a_version_are_kept_for_good(serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    below = await versioned(url)
    status, headers, body = await get(f"{below}page/main.js")
    assert (status, headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert b"import" in body
    other = re.sub("v-[0-9a-f]+", "v-000000000000", below)
    assert (await get(f"{other}page/main.js"))[0] == 404, "modules of two versions don't fit together"


@pytest.mark.parametrize("path", ["assets/client/xinflight.js", "assets/words/zh-CN.json", ""])
async def test_what_has_no_version_is_asked_for_again(serve: Serve, path: str) -> None:
    url = await serve(xinference_url=AWAY)
    _, headers, body = await get(url + path)
    assert headers["Cache-Control"] == "no-cache"
    assert body
    status, again, nothing = await get(url + path, If_None_Match=headers["ETag"])
    assert (status, nothing, again["ETag"]) == (304, b"", headers["ETag"])
    assert [again[name] for name in ("Cache-Control", "Vary")] == [
        headers[name] for name in ("Cache-Control", "Vary")
    ]


@pytest.mark.parametrize("path", ["assets/page/main.js", "assets/styles/style.css", ""])
async def test_texts_are_compressed_for_who_accepts_it(serve: Serve, path: str) -> None:
    url = await serve(xinference_url=AWAY)
    _, plain, body = await get(url + path)
    _, headers, compressed = await get(url + path, Accept_Encoding="gzip;q=0.5, br;q=0, zstd")
    assert (headers["Content-Encoding"], gzip.decompress(compressed)) == ("gzip", body)
    assert len(compressed) < 0.6 * len(body)
    assert (await get(url + path, Accept_Encoding="*"))[1]["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in headers["Vary"]
    assert "Accept-Encoding" in plain["Vary"]
    _, refused, _ = await get(url + path, Accept_Encoding="gzip;q=0, *")
    assert "Content-Encoding" not in refused
    assert headers["ETag"] == plain["ETag"]
    assert headers["ETag"].startswith("W/"), "the same text, but other bytes"


@pytest.mark.parametrize("path", ["assets/page/main.js", "assets/styles/style.css", ""])
async def test_brotli_is_preferred_where_it_is_installed(serve: Serve, path: str) -> None:
    brotli = pytest.importorskip("brotli")
    url = await serve(xinference_url=AWAY)
    _, zipped, larger = await get(url + path, Accept_Encoding="gzip")
    _, headers, compressed = await get(url + path, Accept_Encoding="gzip, deflate, br")
    assert headers["Content-Encoding"] == "br"
    assert brotli.decompress(compressed) == gzip.decompress(larger)
    assert len(compressed) < 0.93 * len(larger)
    assert headers["ETag"] == zipped["ETag"]


async def test_the_first_screen_stays_small(serve: Serve) -> None:
    """What the page names to be loaded at once, and itself: over a slow line each 10 KB are 50 ms."""
    pytest.importorskip("brotli")
    url = await serve(xinference_url=AWAY)
    page = (await get(url))[2].decode()
    found: list[str] = re.findall(
        r'<link rel="(?:stylesheet|modulepreload)" href="([^"]+)"|<script [^>]*src="([^"]+)"', page
    )
    paths = ["", *("".join(either) for either in found)]
    assert len(paths) == 6
    sizes = {path: len((await get(url + path, Accept_Encoding="br"))[2]) for path in paths}
    assert sum(sizes.values()) <= 60_000, sizes


async def test_gzip_is_sent_where_brotli_is_not_installed(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setattr(static_content, "CODINGS", static_content.codings())
    url = await serve(xinference_url=AWAY)
    _, headers, _ = await get(f"{url}assets/page/main.js", Accept_Encoding="gzip, deflate, br")
    assert headers["Content-Encoding"] == "gzip"


async def test_pages_of_allowed_origins_import_the_client(serve: Serve) -> None:
    url = await serve(xinference_url=AWAY, allow_origins=("https://app.example",))
    for origin, allowed in (("https://app.example", "https://app.example"), ("https://evil.example", None)):
        _, headers, _ = await get(f"{url}assets/client/xinflight.js", Origin=origin)
        assert headers.get("Access-Control-Allow-Origin") == allowed
        assert "Origin" in headers["Vary"]


async def test_the_browser_is_told_of_every_module_at_once(serve: Serve) -> None:
    url = await serve(xinference_url=AWAY)
    _, _, page = await get(url)
    told = re.findall(r'rel="modulepreload" href="assets/v-[0-9a-f]+/([^"]+)"', page.decode())
    assert told == ["page/main.js", "first.js", "vendor/signals-core/signals-core.js"]
    assert all(path in told for name in told for path in imports(name, source(name)))


def source(name: str) -> str:
    """Return a file as the page loads it."""
    content = page_assets().get(name)
    assert content, name
    return content.data.decode()


def test_whatever_a_module_of_the_page_imports_is_there() -> None:
    """A module that was joined with others is no longer there by itself: it would be there twice."""
    files = json.loads(source("files.json"))
    assert "page/ui/dom.js" not in files
    for name in (name for name in files if name.endswith(".js")):
        later = [
            normpath(join(dirname(name), path))
            for path in re.findall(r'\bimport\("([^"]+)"\)(?!\.\w+[}>|])', source(name))
        ]
        assert {*imports(name, source(name)), *later} <= set(files), name


def test_a_change_of_any_file_is_another_version(tmp_path: Path) -> None:
    folder = shutil.copytree(ASSETS, tmp_path / "assets")
    before = AssetFiles(read_assets(folder)).version
    assert AssetFiles(read_assets(ASSETS)).version == before
    (folder / "words" / "fr.json").write_text("{}")
    assert AssetFiles(read_assets(folder)).version != before


def test_files_for_nobody_s_browser(tmp_path: Path) -> None:
    for name in ("LICENSE", "types.d.ts", "README.md"):
        (tmp_path / name).touch()
    assert read_assets(tmp_path) == {}


def test_modules_are_found_in_the_order_of_their_imports(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "main.js").write_text(
        'import {\n  a,\n} from "./deep/a.js";\nimport "./b.js";\nimport("./late.js");\n'
    )
    (tmp_path / "deep" / "a.js").write_text('import{b}from"../b.js";import{c}from"./c.js";export{b,c};')
    (tmp_path / "b.js").write_text('export const text = "from afar";\nexport * from "./deep/c.js";\n')
    (tmp_path / "deep" / "c.js").write_text('/** @type {import("./d.js").D} */\nexport const c = 1;\n')
    assert AssetFiles(read_assets(tmp_path)).modules("main.js") == ["main.js", "deep/a.js", "b.js", "deep/c.js"]


def test_files_of_others_keep_their_notices(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "theirs.js").write_text("/* Copyright */\nexport const x = 1;\n")
    assert read_assets(tmp_path)["vendor/theirs.js"].startswith(b"/* Copyright */")


def test_only_lines_of_nothing_but_comment_are_emptied() -> None:
    source = """\
/** A function.
 * @param {string} a
 */
export const f = (a) => `
  ${a} // kept
`; // kept
  // gone
/** @type {X} */ (g).h(); /* kept */
/* gone */
const r = /\\/\\*/; /** kept */
  /** gone */
"""
    kept = ["", "", "", *source.splitlines()[3:6], "", source.splitlines()[7], "", source.splitlines()[9], ""]
    assert without_comments(source).splitlines() == kept


@pytest.mark.process
def test_scripts_mean_the_same_without_their_comments(tmp_path: Path) -> None:
    """The TypeScript compiler prints both alike: what was left out was comment."""
    scripts = [(path.read_text(), without_comments(path.read_text())) for path in sorted(ASSETS.rglob("*.js"))]
    joined = [data.decode() for name, data in read_assets(ASSETS).items() if page_assets().get(name) is None]
    assert len(joined) > 50
    scripts += [(source, dense(source)) for source in joined]
    (tmp_path / "scripts.json").write_text(json.dumps(scripts))
    (tmp_path / "compare.js").write_text("""
      const ts = require(process.argv[2]);
      const printed = (source) => ts.transpile(source, { target: "esnext", removeComments: true });
      for (const [whole, sent] of require("./scripts.json")) {
        if (printed(whole) !== printed(sent)) { console.log(whole); process.exit(1); }
      }
    """)
    compiler = node_tools() / "node_modules" / "typescript"
    done = run_node("compare.js", compiler, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(len(sent) for _, sent in scripts) < 0.8 * sum(len(whole) for whole, _ in scripts)
