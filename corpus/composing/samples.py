"""Samples one by one: sample i depends on the seed and i, and on earlier ones only not to repeat their words."""

from collections.abc import Iterator
from hashlib import blake2b
from random import Random

from corpus.composing import alone, pairs, plain, scenery
from corpus.composing.answer import answer, tokens_about
from corpus.composing.held_out import unseen_kinds
from corpus.composing.scene import Scene
from corpus.composing.wording import described
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import UNSEEN, description_key

SEEN_BITS = 27  # 2^27 marks, 16 MB
MOST_TOKENS = 343  # of an answer, as they are estimated: none then has more than 350
TRIES_OF_KIND = 400  # then another kind of scene is tried: this one may have nothing new
MOST_TRIES = 20_000  # for one sample; some ten are needed
LEVELS = {
    "0": (alone.alone_scene, alone.KINDS),
    "1": (plain.plain_scene, plain.KINDS), "2": (pairs.pair_scene, pairs.KINDS), "3": (scenery.scenery, scenery.KINDS)
}  # fmt: skip
ALL = ("1", "2", "3")  # of the level "all"


def samples(seed: int, count: int, level: str, unseen: float) -> Iterator[dict]:
    """Yield records of id, description, svg_content, group. unseen: share of those with a combination held out."""
    seen = Seen()
    for i in range(count):
        yield sample(seed, i, level, unseen, seen)


def sample(seed: int, i: int, level: str, unseen: float, seen: "Seen") -> dict:
    """Return sample i. Raises UserError where no description is found that is not there yet."""
    draw = Random(f"{seed}:{i}")
    level = draw.choice(ALL) if level == "all" else level
    for scene, kinds in scenes(draw, level, draw.random() < unseen):
        description = described(draw, scene)
        if description is not None and seen.is_new(description):
            id = f"scene-{level}-{seed}-{i:06d}"
            return {"id": id, "description": description, "svg_content": answer(scene), "group": group(scene, kinds)}
    raise UserError(f"after {i:,} samples no new description is found; ask for fewer SAMPLES, or another LEVEL.")


def scenes(draw: Random, level: str, unseen: bool) -> Iterator[tuple[Scene, set[str]]]:
    """Yield scenes of a level whose answers are not too long, and of which kinds their combinations held out are.

    unseen: with one of these, or without any. Ends after MOST_TRIES.
    """
    make, kinds_of_scene = LEVELS[level]
    for attempt in range(MOST_TRIES):
        if attempt % TRIES_OF_KIND == 0:  # else a kind whose scenes often do not fit would be rare
            kind = draw.choices(list(kinds_of_scene), list(kinds_of_scene.values()))[0]
        scene = make(draw, kind)
        kinds = unseen_kinds(scene) if scene else set()
        if scene and len(kinds) == unseen and tokens_about(answer(scene)) <= MOST_TOKENS:
            yield scene, kinds


def group(scene: Scene, kinds: set[str]) -> str:
    return "".join(f"{UNSEEN}{kind}: " for kind in kinds) + scene.composition()


class Seen:
    """Which descriptions there have been: a mark in a table of fixed size for each, by its hash.

    Memory stays what it is however many there are. No description passes twice; one that is new is taken for known
    where its mark is another's, and another one is drawn in its place.
    """

    def __init__(self) -> None:
        self.marks = bytearray(2 ** (SEEN_BITS - 3))

    def is_new(self, description: str) -> bool:
        digest = blake2b(description_key(description).encode(), digest_size=8).digest()
        place, bit = divmod(int.from_bytes(digest) % 2**SEEN_BITS, 8)
        new = not self.marks[place] >> bit & 1
        self.marks[place] |= 1 << bit
        return new
