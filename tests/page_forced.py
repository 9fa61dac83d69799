"""What is wrong with a page in forced colours, where backgrounds and shadows are the system's."""

from playwright.async_api import Page

from page_checks import CONTROLS
from page_world import settle

FORCED = f"""() => {{ {CONTROLS}
  const clear = (colour) => /^rgba.*, 0\\)$/.test(colour);
  const text = getComputedStyle(document.body).color;
  const framed = (element) => {{
    const style = getComputedStyle(element);
    return ["Top", "Bottom"].some((side) => style[`border${{side}}Style`] !== "none"
      && parseFloat(style[`border${{side}}Width`]) >= 1 && !clear(style[`border${{side}}Color`]));
  }};
  const outlined = (element) => getComputedStyle(element).outlineStyle !== "none";
  const painted = (element) => ["IMG", "VIDEO", "CANVAS"].includes(element.tagName)
    || getComputedStyle(element).backgroundImage.includes("url(");
  const told = (element) => framed(element)
    // A segment, or what is written in a field with a mark before it, has the frame of the whole.
    || [element.closest("label"), element.closest(".seg")].some((whole) => whole && framed(whole))
    || [element, ...element.querySelectorAll("*")].some(painted)
    // A link has a colour of its own.
    || element.tagName === "A" && getComputedStyle(element).color !== text
    || ["checkbox", "radio", "range"].includes(element.type) && getComputedStyle(element).appearance !== "none"
    // What scrolls by keyboard is no control.
    || element.getAttribute("role") === "region" || element.tagName === "SUMMARY";
  const chosen = controls.filter((element) =>
    element.matches(":checked, [aria-pressed=true], [aria-selected=true], [aria-current=true]"));
  const marked = (element) => outlined(element) || outlined(element.closest("label") ?? element)
    || element.type === "checkbox" && getComputedStyle(element).appearance !== "none";
  return [
    ...controls.filter((element) => !told(element)).map((element) => `${{name(element)}} has no frame`),
    ...chosen.filter((element) => !marked(element)).map((element) => `${{name(element)}} is not marked as chosen`),
  ];
}}"""


async def forced(page: Page) -> list[str]:
    """Return the controls that can't be told from text, and chosen ones that look like others (WCAG 1.4.11)."""
    await page.emulate_media(forced_colors="active")
    await settle(page)
    found: list[str] = await page.evaluate(FORCED)
    await page.emulate_media(forced_colors="none")
    return found
