"""The page in Firefox and in WebKit, Safari's engine: images, a cancel, the view, chat, the other language."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clients import Recorder, eventually
from conftest import Serve
from node_tools import AXE, node_tools
from other_browsers import RemotePage, open_firefox, open_webkit
from page_checks import RULES
from page_kit import FROZEN
from page_world import MODELS

pytestmark = pytest.mark.process

BROWSERS = {"firefox": open_firefox, "webkit": open_webkit}
KIT = """
  const part = (id) => document.querySelector(`[data-testid="${id}"]`);
  const until = async (holds, what) => {
    for (const end = Date.now() + 60_000; Date.now() < end; ) {
      const found = holds();
      if (found) return found;
      await new Promise((next) => setTimeout(next, 20));
    }
    throw new Error(`never: ${what}`);
  };
  const fill = (id, text) => {
    part(id).value = text;
    part(id).dispatchEvent(new Event("input", { bubbles: true }));
  };
  const tiles = () => [...document.querySelectorAll("[data-testid=tile]")];
  const tile = (text) => tiles().find((each) => each.textContent.includes(text));
"""
LIVE = 'await until(() => part("connection")?.dataset.state === "live", "live");'


@pytest.fixture(params=BROWSERS)
async def page(request: pytest.FixtureRequest, tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[RemotePage]:
    folder = tmp_path / "profile"
    folder.mkdir()
    async with BROWSERS[request.param](folder, unused_tcp_port) as page:
        yield page


async def test_the_page_works(page: RemotePage, emulate: Serve, serve: Serve) -> None:
    engine = Recorder(MODELS)
    url = await serve(xinference_url=await emulate(engine), default_size="128x96")
    await page.goto(url)
    await page.run(f"{KIT} {LIVE} window.problems = []; addEventListener('error', (e) => problems.push(e.message));")

    await page.run(f"""{KIT} fill("prompt", "a red boat"); part("generate").click();
      const image = await until(() => tile("a red boat")?.querySelector("img"), "a tile");
      await until(() => tile("a red boat").dataset.loaded === "true" && image.naturalWidth > 0, "an image");""")

    await page.run(f"""{KIT} fill("prompt", "a heron{FROZEN}4"); part("generate").click();
      await until(() => tile("a heron")?.dataset.state === "running", "running");
      await until(() => part("board-row"), "the board");
      part("board-cancel").click();""")
    await eventually(lambda: engine.aborts)
    engine.thaw()
    await page.run(f'{KIT} await until(() => part("board").hidden, "the end of a cancel");')

    await page.run(f"""{KIT} tile("a red boat").querySelector("[data-testid=open]").click();
      await until(() => part("viewer")?.open && part("viewer-image").naturalWidth > 0, "the view");
      history.back();
      await until(() => !part("viewer").open, "the sheet again");""")

    await page.run(f"""{KIT} await until(() => !part("tabs").hidden, "tabs");
      part("chat-tab").click();
      fill("chat-text", "Ten words about boats"); part("chat-send").click();
      await until(() => document.querySelectorAll("[data-testid=turn]")[1]?.dataset.state === "ended", "an answer");
      part("studio-tab").click();""")

    told = await page.run(f"""{KIT} part("lang").click();
      await until(() => part("generate").textContent.includes("生成"), "Chinese");
      const {{ lang, scrollWidth }} = document.documentElement;
      return {{ lang, wide: scrollWidth - innerWidth, problems }};""")
    assert told["lang"] == "zh-CN"
    assert told["wide"] <= 0
    assert told["problems"] == []

    axe_core = node_tools(AXE) / "node_modules" / "axe-core" / "axe.min.js"
    found = await page.run(f"""{axe_core.read_text()};
      const {{ violations }} = await axe.run(document, {{ runOnly: {RULES}, resultTypes: ["violations"] }});
      return violations.map(({{ id, nodes }}) => `${{id}} at ${{nodes[0].target}}`);""")
    assert found == []
