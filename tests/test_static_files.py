"""The files of a page, ours or somebody's own: what is no file there is 404, whatever its name looks like."""

from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from conftest import Serve

AWAY = "http://127.0.0.1:9"
NAMES = [
    "nothing.js",
    "a%00b",
    "x" * 300,
    "x" * 4000,
    "x/" * 2000,
    "%ff",
    "..%2fsecret",
    "%2e%2e/secret",
    "%2fetc%2fpasswd",
    ".",
]


async def status(url: str, path: str) -> int:
    """Return the status of a GET whose path goes out as it is."""
    async with aiohttp.ClientSession() as http, http.get(URL(f"{url}{path}", encoded=True)) as answer:
        await answer.read()
        return answer.status


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Give a page of one's own, with a file below it and links out of it."""
    folder = tmp_path / "page"
    (folder / "deep").mkdir(parents=True)
    (folder / "index.html").write_text("own")
    (folder / "deep" / "app.js").write_text("own")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to(folder / "loop")
    return folder


@pytest.mark.parametrize("name", [*NAMES, "link", "loop", "deep"])
async def test_names_that_are_no_file_of_ones_own_page(serve: Serve, own: Path, name: str) -> None:
    """Neither what is missing, nor what is outside, nor a folder is sent."""
    url = await serve(xinference_url=AWAY, page=str(own))
    assert await status(url, name) == 404
    assert await status(url, "deep/app.js") == 200


@pytest.mark.parametrize("name", NAMES)
async def test_names_that_are_no_file_of_our_page(serve: Serve, name: str) -> None:
    """The same below the assets of our page."""
    url = await serve(xinference_url=AWAY)
    assert await status(url, f"assets/{name}") == 404
    assert await status(url, "assets/page/main.js") == 200
