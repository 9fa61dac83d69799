"""Fingers on a page, as a screen tells of them."""

from collections.abc import Iterable
from dataclasses import dataclass

from playwright.async_api import CDPSession, Locator, Page, expect

__all__ = ["Fingers", "middle"]

Point = tuple[float, float]


@dataclass(frozen=True)
class Fingers:
    """Touches of a page, given to the browser as those of a screen are."""

    cdp: CDPSession

    @classmethod
    async def on(cls, page: Page) -> "Fingers":
        cdp = await page.context.new_cdp_session(page)
        await cdp.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
        return cls(cdp)

    async def touch(self, kind: str, *points: Point) -> None:
        touched = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        await self.cdp.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": touched})

    async def move(self, *ways: Iterable[Point]) -> None:
        """Put fingers down at the first points of their ways, move them along, and lift them."""
        first, *others = zip(*ways, strict=True)
        await self.touch("Start", *first)
        for points in others:
            await self.touch("Move", *points)
        await self.touch("End")

    async def swipe(self, begin: Point, by: Point) -> None:
        (x, y), (dx, dy) = begin, by
        await self.move([(x + dx * part / 4, y + dy * part / 4) for part in range(5)])

    async def tap(self, at: Point) -> None:
        await self.move([at])


async def middle(place: Locator) -> Point:
    await expect(place).to_be_visible()
    box = await place.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
