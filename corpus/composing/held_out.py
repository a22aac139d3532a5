"""The compositional split: combinations that no training sample has, whatever file or seed it is from.

A tenth of the pairs of each kind (a colour and a thing, a relation and a thing, a count and a thing) are held out, by a
hash of their names. Each colour, relation, count and thing occurs in training, in other company.
"""

from functools import cache
from hashlib import sha256

from corpus.composing.scene import Scene

SHARE = 10  # one pair in so many is held out


@cache
def is_held_out(pair: tuple[str, str, str]) -> bool:
    return int.from_bytes(sha256("/".join(pair).encode()).digest()[:4]) % SHARE == 0


def unseen_kinds(scene: Scene) -> set[str]:
    """Return of which kinds ("color", "relation", "count") the scene has pairs that are held out."""
    return {pair[0] for pair in scene.pairs() if is_held_out(pair)}
