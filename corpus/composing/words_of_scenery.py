"""Descriptions of scenes with a horizon: "a lighthouse overlooking the ocean", "a purple forest at dusk"."""

from random import Random

from corpus.composing.scene import Scene

# {c} is the ground's colour and a space, or nothing.
WHERE = {
    "field": ("in a {c}field", "in a {c}meadow", "on a {c}lawn", "in the middle of a {c}field"),
    "sea": ("on the {c}sea", "on the {c}ocean", "on {c}water", "in the {c}sea"),
    "desert": ("in the desert", "on the sand", "on a sandy beach", "in a sandy desert"),
    "snow": ("in the snow", "on a snowy plain", "in a snowy field"),
    "hills": ("on {c}hills", "on rolling {c}hills", "among {c}hills"),
    "forest": ("in front of a {c}forest", "at the edge of a {c}forest", "by a {c}forest"),
    "mountains": ("in front of {c}mountains", "at the foot of {c}mountains"),
}
ITSELF = {
    "field": ("a wide {c}field", "an open {c}meadow"),
    "sea": ("the wide {c}ocean", "a calm {c}sea"),
    "desert": ("a sandy desert", "an empty beach of sand"),
    "snow": ("a snowy plain", "a wide field of snow"),
    "hills": ("{c}hills", "rolling {c}hills"),
    "forest": ("a {c}forest", "a dense {c}forest"),
    "mountains": ("{c}mountains", "a range of {c}mountains"),
}
OVERLOOKING = ("lighthouse", "castle", "tower", "house")
TIMES = {
    "day": ("on a sunny day", "by day", "under a clear sky"),
    "dusk": ("at dusk", "at dusk", "at sunset", "in the evening"),
    "night": ("at night", "at night", "under a night sky", "on a dark night"),
}
IN_THE_SKY = ("with {} in the sky", "and {} in the sky", "with {} overhead")
UNDER = ("under {}", "beneath {}", "below {}")
BESIDE = {
    "left": ("to the left of", "left of"),
    "right": ("to the right of", "right of"),
    "beside": ("next to", "beside"),
}


def described_scenery(draw: Random, scene: Scene, names: list[str]) -> str:
    colour = scene.ground.colour if scene.wording["tells_ground"] else ""
    colour = colour and colour + " "
    names = [the_only(draw, name) for name in names]
    land = scene.items[: scene.wording["on_land"]]
    parts = []
    if not land:
        parts.append(draw.choice(ITSELF[scene.ground.name]).format(c=colour))
    else:
        parts.append(names[0])
        if len(land) > 1:
            relation = scene.relations[0][1]
            parts.append(f"{draw.choice(BESIDE[relation])} {names[1]}")
        if scene.ground.name == "sea" and land[0].thing in OVERLOOKING and draw.random() < 0.7:
            parts.append(f"overlooking the {colour}{draw.choice(('sea', 'ocean'))}")
        else:
            parts.append(draw.choice(WHERE[scene.ground.name]).format(c=colour))
    if len(land) < len(names):
        below = any(relation == "below" for _, relation, *_ in scene.relations)
        parts.append(draw.choice(UNDER if below else IN_THE_SKY).format(names[-1]))
    if not scene.time:
        return " ".join(parts)
    time = draw.choice(TIMES[scene.time][: 2 if "under" in " ".join(parts) else None])
    return f"{time}, {' '.join(parts)}" if draw.random() < 0.15 else f"{' '.join(parts)} {time}"


def the_only(draw: Random, name: str) -> str:
    """ "a sun" → "the sun" """
    return name.replace("a ", "the ", 1) if name in ("a sun", "a moon") else name
