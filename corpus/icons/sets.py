"""Which icon sets are read, in which version, and what is known of each: its styles and where words about it are.

Versions are pinned, so that the same command gives the same data. Every set comes as the npm package
@iconify-json/PREFIX; words that the set's authors wrote come in packages of their own.
"""

from dataclasses import dataclass

PERMISSIVE = ("MIT", "ISC", "Apache-2.0", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "OFL-1.1", "BSD-3-Clause", "Unlicense")
SHARE_ALIKE = ("CC-BY-SA-3.0", "CC-BY-SA-4.0")

EMOJIBASE = ("emojibase-data", "17.0.0")  # labels and tags of all emoji, by code point
WORDS = {  # prefix of a set → the package in which its authors name it
    "tabler": ("@tabler/icons", "3.51.0"),
    "lucide": ("lucide-static", "1.62.0"),
    "mdi": ("@mdi/svg", "7.4.47"),
    "healthicons": ("healthicons", "2.0.0"),
    "ph": ("@phosphor-icons/core", "2.1.1"),
}


@dataclass(frozen=True)
class IconSet:
    prefix: str
    version: str
    styles: dict[str, str]  # ending of a name → the style it means, as a phrase like "outline icon"; "" for none
    skipped: tuple[str, ...] = ()  # endings of what is left out: the same drawing in another weight or size
    emoji: bool = False  # named by what emojibase-data says
    painted: bool = False  # has no colours of its own: it is painted, and the description names the colour
    mixed: bool = False  # plain names are of any style, where there is no other of that name
    scrap: tuple[str, ...] = ()  # endings of names that tell versions apart, like numbers

    @property
    def package(self) -> tuple[str, str]:
        return f"@iconify-json/{self.prefix}", self.version


def _emoji(prefix: str, version: str) -> IconSet:
    return IconSet(prefix, version, {"": "flat emoji"}, emoji=True)


FLAT, OUTLINE, FILLED, DUOTONE = "flat icon", "outline icon", "filled icon", "duotone icon"
OUTLINED = "filled outline icon"  # coloured areas with lines around

SETS = (
    # Of drawings that are alike the first is kept, so the order is one of preference.
    _emoji("twemoji", "1.2.5"),
    _emoji("fluent-emoji-flat", "1.2.6"),
    _emoji("noto", "1.2.9"),
    _emoji("noto-v1", "1.2.5"),
    _emoji("emojione", "1.2.3"),
    _emoji("fxemoji", "1.2.2"),
    _emoji("streamline-emojis", "1.2.4"),
    IconSet("icon-park", "1.2.4", {"": OUTLINED}, scrap=("one", "two", "three", "four", "five", "a", "b", "c")),
    IconSet("flat-color-icons", "1.2.3", {"": FLAT}),
    IconSet("fluent-color", "1.2.21", {"": FLAT}),
    IconSet("meteocons", "1.2.4", {"fill": FLAT, "": OUTLINE}),
    IconSet("streamline-color", "1.2.2", {"flat": FLAT, "": OUTLINED}),
    IconSet("streamline-flex-color", "1.2.2", {"flat": FLAT, "": OUTLINED}),
    IconSet("streamline-plump-color", "1.2.2", {"flat": FLAT, "": OUTLINED}),
    IconSet("streamline-sharp-color", "1.2.2", {"flat": FLAT, "": OUTLINED}),
    IconSet("streamline-ultimate-color", "1.2.2", {"": OUTLINED}),
    IconSet("streamline-cyber-color", "1.2.2", {"": OUTLINED}),
    IconSet("streamline-kameleon-color", "1.2.2", {"duo": FLAT, "": FLAT}),
    IconSet("streamline-stickies-color", "1.2.2", {"duo": OUTLINED, "": OUTLINED}),
    IconSet("marketeq", "1.2.2", {"": OUTLINE}),
    IconSet("streamline-freehand-color", "1.2.2", {"": "hand-drawn icon"}),
    IconSet("tabler", "1.2.41", {"filled": FILLED, "": OUTLINE}, painted=True),
    IconSet("lucide", "1.2.137", {"": OUTLINE}, painted=True),
    IconSet("lucide-lab", "1.2.3", {"": OUTLINE}, painted=True),
    IconSet("mdi", "1.2.3", {"outline": OUTLINE, "": FILLED}, painted=True, mixed=True),
    IconSet("ph", "1.2.2", {"fill": FILLED, "duotone": DUOTONE, "": OUTLINE}, ("thin", "light", "bold"), painted=True),
    IconSet(
        "healthicons", "1.2.13", {"outline": OUTLINE, "": FILLED}, ("24px", "outline-24px", "negative"), painted=True
    ),
    IconSet("iconoir", "1.2.11", {"solid": FILLED, "": OUTLINE}, painted=True),
    IconSet(
        "solar",
        "1.2.13",
        {"linear": OUTLINE, "bold": FILLED, "bold-duotone": DUOTONE},
        ("broken", "outline", "line-duotone"),
        painted=True,
        scrap=("minimalistic",),
    ),
    _emoji("openmoji", "1.2.29"),
    _emoji("emojione-v1", "1.2.3"),
)


def packages(sets: list[IconSet]) -> list[tuple[str, str]]:
    """Return (name, version) of what must be there to read the sets; emojibase also says which words are things."""
    needed = [some.package for some in sets] + [WORDS[some.prefix] for some in sets if some.prefix in WORDS]
    return [*needed, EMOJIBASE]
