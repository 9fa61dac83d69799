"""What moves on a page whose reader wants nothing to move (WCAG 2.3.3): what comes and goes may fade."""

from playwright.async_api import Page

WATCH = """
  window.moved = [];
  const still = ["opacity", "visibility", "offset", "computedOffset", "easing", "composite"];
  const note = (what, element) => window.moved.push(`${what} of ${element?.dataset?.testid ?? element?.className}`);
  const look = (keyframes, element) => {
    for (const name of new Set(keyframes.flatMap(Object.keys))) if (!still.includes(name)) note(name, element);
  };
  addEventListener("transitionrun", ({ propertyName, target }) => look([{ [propertyName]: 0 }], target), true);
  addEventListener("animationstart", ({ target, animationName }) => {
    for (const animation of target.getAnimations({ subtree: true })) {
      if (animation.animationName === animationName) look(animation.effect.getKeyframes(), target);
    }
  }, true);
  const animate = Element.prototype.animate;
  Element.prototype.animate = function (keyframes, options) {
    const animation = animate.call(this, keyframes, options);
    look(animation.effect.getKeyframes(), this);
    return animation;
  };
  for (const [owner, name] of [[Element.prototype, "scrollIntoView"], [Element.prototype, "scrollTo"],
    [Element.prototype, "scrollBy"], [window, "scrollTo"], [window, "scrollBy"]]) {
    const scroll = owner[name];
    owner[name] = function (...where) {
      if (where[0]?.behavior === "smooth") note("scrolling", this);
      return scroll.apply(this, where);
    };
  }
"""
"""Notes from the start of a page what moves: other properties than opacity, and scrolling that takes its time."""

SCROLLS = """() => [...document.querySelectorAll("*")]
  .filter((element) => getComputedStyle(element).scrollBehavior === "smooth")
  .map((element) => `smooth scrolling of ${element.dataset.testid ?? element.tagName}`)"""


async def moved(page: Page) -> list[str]:
    """Return what has moved since the page was opened; it must have been opened with WATCH."""
    found: list[str] = [*await page.evaluate("window.moved"), *await page.evaluate(SCROLLS)]
    return sorted(set(found))
