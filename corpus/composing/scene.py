"""What a scene is: things with place, size and colour, what is said of them, and what they stand before."""

from dataclasses import dataclass, field

from corpus.composing import shapes, things

CONVERSE = {
    "left": "right", "above": "below", "inside": "around", "on": "under", "behind": "before", "beside": "beside",
    "between": "outside",
}  # fmt: skip
CONVERSE |= {there: here for here, there in CONVERSE.items()}
FIRST = ("left", "above", "inside", "on", "behind", "beside", "between")  # of a relation and its converse
Spot = tuple[int, int]  # x, y of a centre
Bounds = tuple[int, int, int, int]  # left, top, right, bottom


@dataclass(frozen=True)
class Item:
    """One or several things that are alike. r: half the width of one, in canvas units (of a pictogram, of its grid)."""

    thing: str
    colour: str  # "" for a thing that has its own
    spots: tuple[Spot, ...]
    r: int
    size: str = ""  # "small" or "large" where the description says so
    place: str = ""  # "top left", "center" … where the description says so
    tells_colour: bool = True  # does the description?

    @property
    def count(self) -> int:
        return len(self.spots)

    @property
    def unit(self) -> int:
        """Canvas units to a grid unit of a pictogram."""
        return self.r // 8

    @property
    def is_shape(self) -> bool:
        return self.thing in shapes.SHAPES

    def bounds(self, spot: int = 0) -> Bounds:
        x, y = self.spots[spot]
        if self.is_shape:
            h = shapes.height(self.thing, self.r)
            return x - self.r, y - h, x + self.r, y + h
        left, top, right, bottom = (n * self.unit for n in things.pictograms()[self.thing].box)
        return x + left, y + top, x + right, y + bottom


@dataclass(frozen=True)
class Ground:
    """What things stand on: a strip from `horizon` to the canvas's lower edge."""

    name: str
    colour: str
    horizon: int


Relation = tuple[int, str, int] | tuple[int, str, int, int]  # A, "between", B and C: the items by their numbers


@dataclass(frozen=True)
class Scene:
    """Items in the order in which they are drawn, and what is claimed of them.

    relations: (A, "left", B) says that item A is to the left of item B.
    """

    level: int
    items: tuple[Item, ...]
    relations: tuple[Relation, ...] = ()
    background: str = ""  # "" = none is drawn, and the paper is white
    ground: Ground | None = None
    time: str = ""  # "day", "dusk" or "night" where the description says so
    wording: dict = field(default_factory=dict, compare=False)  # what only the wording needs

    def pairs(self) -> set[tuple[str, str, str]]:
        """Return the combinations that a split may hold out: ("color", "red", "circle"), ("relation", "left", …)."""
        found = {("color", item.colour, item.thing) for item in self.items if item.colour}
        found |= {("count", str(item.count), item.thing) for item in self.items if item.count > 1}
        for a, relation, *others in self.relations:
            found |= {("relation", relation, self.items[a].thing)}
            found |= {("relation", CONVERSE[relation], self.items[b].thing) for b in others}
        return found

    def composition(self) -> str:
        """What the scene is, whatever its wording and its numbers: scenes that have this in common are one group."""
        names = [f"{item.colour} {item.thing}".strip() for item in self.items]
        parts = sorted(
            " ".join(filter(None, (str(item.count), item.size, name, item.place)))
            for name, item in zip(names, self.items, strict=True)
        )
        parts += [self.background, self.ground.name if self.ground else ""]
        for a, relation, *others in self.relations:
            if relation not in FIRST:
                a, relation, others = others[0], CONVERSE[relation], [a]
            parts.append(" ".join([names[a], relation, *sorted(names[b] for b in others)]))
        return ", ".join(filter(None, parts))
