"""The modules of the page's first screen, joined into one: they mean what they meant each by itself."""

import re
from graphlib import CycleError
from pathlib import Path

import pytest

from node_tools import run_node
from xinflight.web.assets import VENDOR, read_assets
from xinflight.web.client_static import CLIENT_STATIC
from xinflight.web.packing import imports, pack

TREE = {
    "main.mjs": """
import { face, Fixed } from "./deep/face.mjs";
import {
  kept as count,
  grow,
} from "./deep/state.mjs";
const { late } = await import("./deep/late.mjs");
console.log(face(), count.value, new Fixed().place, [...grow()], await late());
""",
    "deep/face.mjs": """
import { kept } from "./state.mjs";
export { Fixed } from "../fixed.mjs";
const own = "a face";
export function face() {
  kept.value += 1;
  return own;
}
""",
    "deep/state.mjs": """
const own = 1;
export const kept = { value: own };
export function* grow() {
  yield kept.value;
}
""",
    "deep/late.mjs": """
import { kept } from "./state.mjs";
import { away } from "../away.mjs";
export const late = async () => [kept.value, (await away()).far];
""",
    "fixed.mjs": """
const own = new URL("./file", import.meta.url).pathname.split("/").slice(-2);
export class Fixed {
  place = own;
}
""",
    "away.mjs": 'export async function away() {\n  return import("./deep/far.mjs");\n}\n',
    "deep/far.mjs": 'export const far = "from afar";\n',
}
JOINED = ["deep/face.mjs", "deep/state.mjs", "fixed.mjs", "away.mjs"]


@pytest.mark.process
def test_joined_modules_do_the_same(tmp_path: Path) -> None:
    """With names that two of them have, with a state that modules outside share, and with addresses of their own."""
    done = []
    for folder, modules in ((tmp_path / "a", TREE), (tmp_path / "b", pack(TREE, JOINED, "first.mjs"))):
        for name, source in modules.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(source)
        done.append(run_node("main.mjs", cwd=folder))
    assert done[1].stdout.replace("'b'", "'a'") == done[0].stdout, done[1].stderr
    assert "from afar" in done[0].stdout
    assert sorted(file.name for file in (tmp_path / "b").rglob("*.mjs")) == [
        "far.mjs",
        "first.mjs",
        "late.mjs",
        "main.mjs",
    ]


def test_the_joined_module_imports_what_is_not_in_it() -> None:
    joined = pack(
        {"a/x.js": 'import { y } from "../b/y.js";\n', "b/y.js": "export const y = 1;\n"}, ["a/x.js"], "f.js"
    )
    assert list(imports("f.js", joined["f.js"])) == ["b/y.js"]


def test_modules_that_import_each_other_can_not_be_joined() -> None:
    circle = {"a.js": 'import { b } from "./b.js";\n', "b.js": 'import { a } from "./a.js";\n'}
    with pytest.raises(CycleError):
        pack(circle, list(circle), "first.js")


def test_every_module_is_written_as_joining_needs_it() -> None:
    known = re.compile(
        r'import \{[^}]*\} from "[^"]+";|export \{[^}]*\} from "[^"]+";|export (async )?(class|const|function\*?) \w+'
    )
    for name, data in read_assets(CLIENT_STATIC / "assets").items():
        if name.endswith(".js") and not name.startswith(VENDOR) and name != "page/start.js":
            source = data.decode()
            for begun in re.finditer(r"^(?:import|export)\b", source, re.MULTILINE):
                assert known.match(source, begun.start()), (name, source[begun.start() :][:80])
            assert not re.search(r"(?<![\w$])_\d+\b", source), name
            assert name == "page/main.js" or not re.search(r"^(?:const .* = )?await\b", source, re.MULTILINE), name
