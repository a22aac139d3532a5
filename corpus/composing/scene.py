"""What a scene is: things with place, size and colour, what is said of them, and what they stand before."""

from dataclasses import dataclass

CONVERSE = {"left": "right", "above": "below", "inside": "around"}  # and back again
CONVERSE |= {there: here for here, there in CONVERSE.items()}


@dataclass(frozen=True)
class Item:
    """A thing in the drawing. x, y, r: centre and half its width, in canvas units."""

    thing: str
    colour: str
    x: int
    y: int
    r: int
    size: str = ""  # "small" or "large" where the description says so
    place: str = ""  # "top left", "center" … where the description says so


@dataclass(frozen=True)
class Scene:
    """Items in the order in which they are drawn, and the claims that are made about them.

    relation: (A, "left", B) says that item A, by its number, is to the left of item B.
    """

    level: int
    items: tuple[Item, ...]
    relation: tuple[int, str, int] | None = None
    background: str = ""  # "" = none is drawn, and the paper is white

    def pairs(self) -> set[tuple[str, str, str]]:
        """Return the combinations that a split may hold out: ("color", "red", "circle"), ("relation", "left", …)."""
        found = {("color", item.colour, item.thing) for item in self.items}
        if self.relation:
            a, relation, b = self.relation
            found |= {("relation", relation, self.items[a].thing)}
            found |= {("relation", CONVERSE[relation], self.items[b].thing)}
        return found

    def composition(self) -> str:
        """What the scene is, whatever its wording and its numbers: scenes that have this in common are one group."""
        items = sorted(" ".join(filter(None, (i.size, i.colour, i.thing, i.place))) for i in self.items)
        parts = [*items, self.background]
        if self.relation:
            a, relation, b = self.relation
            if relation in ("right", "below", "around"):
                a, relation, b = b, CONVERSE[relation], a
            parts.append(f"{self.items[a].colour} {self.items[a].thing} {relation} {self.items[b].thing}")
        return ", ".join(filter(None, parts))
