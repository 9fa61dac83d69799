"""What is wrong with a page for those who see little, use no mouse, or enlarge it: each check returns its finds."""

from typing import Any

from playwright.async_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""Tags of axe-core's rules for all that WCAG 2.2 AA asks for and more; and the rules that a theme can break."""

AXE = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  const why = ({ any, all, none }) => [...any, ...all, ...none].map(({ message }) => message).join("; ");
  const name = (id, node) => `${id} at ${node.target.join(" ")}: ${why(node)}`;
  return violations.flatMap(({ id, nodes }) => nodes.map((node) => name(id, node)));
}"""

CONTROLS = """
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const open = document.querySelector("dialog:modal") ?? document;
  const controls = [...open.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
    .filter((element) => shown(element) && !element.closest("[inert]"));
  const name = (element) => `${element.dataset.testid ?? element.outerHTML.slice(0, 90)}`;
  // What scrolls by itself may be wider than the window: the rest of it comes when it is scrolled to.
  const scrolls = (element) => {
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(at).overflowX) && at.scrollWidth > at.clientWidth) return true;
    }
    return false;
  };
"""

TOO_WIDE = f"""() => {{ {CONTROLS}
  const width = document.documentElement.clientWidth;
  const over = document.documentElement.scrollWidth - width;
  const outside = controls.filter((element) => {{
    const {{ left, right }} = element.getBoundingClientRect();
    return (left < -1 || right > width + 1) && !scrolls(element);
  }});
  const found = outside.map((each) => `${{name(each)}} is outside`);
  return over > 0 ? [`the page is ${{over}} px too wide`, ...found] : found;
}}"""

TOO_SMALL = f"""(least) => {{ {CONTROLS}
  return controls
    // A link within a sentence is as high as its line.
    .filter((element) => getComputedStyle(element).display !== "inline")
    .map((element) => [element, element.getBoundingClientRect()])
    // A hair less is a matter of rounding.
    .filter(([, {{ width, height }}]) => Math.min(width, height) < least - 0.1)
    .map(([element, {{ width, height }}]) => `${{name(element)}} is ${{width}} x ${{height}}`);
}}"""

CUT_OFF = """() => [...document.querySelectorAll("button, a, label, p, h1, h2, h3, dt, dd, th, legend, summary")]
  .filter((element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen"))
  .filter((element) => {
    const texts = [...element.childNodes].filter((node) => node instanceof Text && node.data.trim());
    if (texts.length === 0) return false;
    const { overflowX, overflowY, textOverflow, webkitLineClamp } = getComputedStyle(element);
    if (textOverflow === "ellipsis" || webkitLineClamp !== "none") return false;
    const clips = (overflow) => overflow === "hidden" || overflow === "clip";
    return (clips(overflowX) && element.scrollWidth > element.clientWidth + 1)
      || (clips(overflowY) && element.scrollHeight > element.clientHeight + 1);
  })
  .map((element) => `${element.outerHTML.slice(0, 120)} is cut off`)"""

SPACING = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`p { margin-bottom: 2em !important; }
    * { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important; }`);
  document.adoptedStyleSheets = [sheet];
}"""

FOCUSED = """async () => {
  const drawn = () => new Promise((drawn) => requestAnimationFrame(drawn));
  await drawn();
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const hits = (x, y) => {
    const hit = document.elementFromPoint(x, y);
    return hit !== null && (element.contains(hit) || hit.contains(element) && hit.matches("label, .tile"));
  };
  const seen = () => {
    const { left, right, top, bottom } = element.getBoundingClientRect();
    const parts = [0.1, 0.5, 0.9];
    return parts.some((part) => parts.some((other) =>
      hits(left + (right - left) * part, top + (bottom - top) * other)));
  };
  const marked = (at, depth) => {
    if (!at || depth === 0) return false;
    // The controls within a video are the browser's own, which marks them.
    if (at.matches("video[controls]:not(:focus-visible)")) return true;
    const { outlineStyle, outlineWidth } = getComputedStyle(at);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) >= 1) || marked(at.parentElement, depth - 1);
  };
  // What covers it closes within two frames.
  for (let frames = 2; frames > 0 && !seen(); frames -= 1) await drawn();
  element.dataset.walked ??= String(window.walked = (window.walked ?? 0) + 1);
  const { walked: id, testid: name = element.outerHTML.slice(0, 90) } = element.dataset;
  return { id, name, seen: seen(), marked: marked(element, 3) };
}"""


async def axe(page: Page, rules: list[str] = RULES) -> list[str]:
    """Return what axe-core finds; the page must have been opened with it."""
    found: list[str] = await page.evaluate(AXE, rules)
    return found


async def too_wide(page: Page) -> list[str]:
    """Return what would have to be scrolled to sideways (WCAG 1.4.10)."""
    found: list[str] = await page.evaluate(TOO_WIDE)
    return found


async def too_small(page: Page, least: float) -> list[str]:
    """Return the controls that are less than so many CSS pixels wide or high (WCAG 2.5.5, 2.5.8)."""
    found: list[str] = await page.evaluate(TOO_SMALL, least)
    return found


async def cut_off(page: Page, *, spaced: bool = False) -> list[str]:
    """Return texts of which a part is not shown; `spaced` first sets them as wide as WCAG 1.4.12 says."""
    if spaced:
        await page.evaluate(SPACING)
    found: list[str] = await page.evaluate(CUT_OFF)
    return found


async def walked(page: Page, *, most: int = 200) -> list[dict[str, Any]]:
    """Press Tab until the focus has been everywhere; return each place: its name, if it is marked, if it is seen.

    What something covers at each of nine points is not seen.
    """
    places: list[dict[str, Any]] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        place = await page.evaluate(FOCUSED)
        if place is None:
            # Behind the last one comes the browser's own window.
            continue
        if places and place["id"] == places[-1]["id"]:
            # A date has several fields in one.
            continue
        if any(place["id"] == known["id"] for known in places):
            break
        places.append(place)
    return places
