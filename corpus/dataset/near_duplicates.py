"""Which drawings are the same picture again, and which belong to one group because they are alike.

Candidates are pairs that share a band of their MinHash (like text) or of their difference hash (like picture);
all work is on sorted arrays, so it grows with the number of drawings, not with its square. datatrove has MinHash as
well, for text alone, as four jobs over files; here a pair must also look alike.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from corpus.dataset.fingerprint import THUMBNAIL, unpack
from qwen_svg.common.union_find import UnionFind

SAME_TEXT = 0.8  # Jaccard similarity from which two drawings are of one group
SAME_HASH = 24  # of the 480 bits of the difference hash; up to so many differ within one group
TEXT_BAND = 4  # values; 16 bands find a pair of similarity 0.8 with probability 1 - (1 - 0.8⁴)¹⁶ = 0.9998
NEIGHBOURS = 16  # in a band that many drawings share, each is compared with the so many before it
CHUNK = 4096  # pairs compared at a time


@dataclass(frozen=True)
class Likenesses:
    """duplicate_of: for each drawing the index of the kept one it repeats, or -1. groups: a name for each."""

    duplicate_of: list[int]
    groups: list[str]


def find(
    fingerprints: bytes | bytearray,
    groups: list[str],
    max_error: tuple[float, float],
    near: Iterable[Any] = (),
    same_hash: int = SAME_HASH,
) -> Likenesses:
    """Compare all drawings; an earlier one is kept, a later one repeats it.

    fingerprints: corpus/dataset/fingerprint.py's, one after the other; groups: the group each belongs to so far;
    max_error: (mean absolute difference, that of the worst tile) up to which two pictures are the same, 0 to 1;
    near: arrays int64 (P, 2) of pairs that are known to be alike, the smaller index first;
    same_hash: bits of the difference hash in which two of one group may differ.
    """
    thumbnails, texts = unpack(fingerprints)
    hashes = difference_hash(thumbnails)
    duplicate_of = [-1] * len(groups)
    joined = _Joined(groups)
    candidates = ((pairs, False) for pairs in _chunks(_candidates(texts, hashes)))
    known = ((pairs, True) for some in near for pairs in _chunks(some))
    for pairs, is_alike in chain(candidates, known):
        first, second = pairs[:, 0], pairs[:, 1]
        error = np.abs(thumbnails[first].astype(np.int16) - thumbnails[second]).mean(axis=3) / 255
        same = (error.mean(axis=(1, 2)) <= max_error[0]) & (error.max(axis=(1, 2)) <= max_error[1])
        alike = (texts[first] == texts[second]).mean(axis=1) >= SAME_TEXT
        alike |= (hashes[first] != hashes[second]).sum(axis=1) <= same_hash
        alike |= is_alike
        for (a, b), repeats in zip(pairs[same | alike].tolist(), same[same | alike].tolist(), strict=True):
            joined.join(groups[a], groups[b])
            if repeats and duplicate_of[a] < 0 and duplicate_of[b] < 0:
                duplicate_of[b] = a
    return Likenesses(duplicate_of, [joined.name(group) for group in groups])


def difference_hash(thumbnails: Any) -> Any:
    """Return bool (N, 480): is a tile brighter than its left, then its upper neighbour? (the "dHash", both ways)"""
    light = thumbnails @ np.array([0.299, 0.587, 0.114])
    across, down = np.diff(light, axis=2) > 1, np.diff(light, axis=1).transpose(0, 2, 1) > 1
    return np.concatenate([across.reshape(len(light), -1), down.reshape(len(light), -1)], axis=1)


def _candidates(texts: Any, hashes: Any) -> Any:
    """Return int64 (P, 2): pairs of indices, the smaller first, each once, in order."""
    bands = [_keys(texts[:, i : i + TEXT_BAND]) for i in range(0, texts.shape[1], TEXT_BAND)]
    width = 2 * (THUMBNAIL - 1)  # two rows or two columns of the picture
    for i in range(0, hashes.shape[1], width):
        band = hashes[:, i : i + width]
        bands.append(np.where(band.any(axis=1), _keys(np.packbits(band, axis=1)), 0))  # an empty band tells nothing
    pairs = [pair for band in bands for pair in _equal(band)]
    count = len(texts)
    codes = np.unique(np.concatenate([a * count + b for a, b in pairs])) if pairs else np.empty(0, np.int64)
    return np.stack([codes // count, codes % count], axis=1) if count else np.empty((0, 2), np.int64)


def _keys(band: Any) -> Any:
    """Return one uint64 for each row, equal for equal rows; never 0."""
    raw = np.ascontiguousarray(band).view(np.uint8).astype(np.uint64)
    key = np.full(len(raw), 1469598103934665603, np.uint64)
    for column in raw.T:  # FNV-1a
        key = (key ^ column) * np.uint64(1099511628211)
    return key | np.uint64(1)


def _equal(keys: Any) -> Iterator[tuple[Any, Any]]:
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    for distance in range(1, NEIGHBOURS + 1):
        equal = (ranked[distance:] == ranked[:-distance]) & (ranked[distance:] != 0)
        if not equal.any():
            return
        yield order[:-distance][equal], order[distance:][equal]


def _chunks(pairs: Any) -> Iterator[Any]:
    for i in range(0, len(pairs), CHUNK):
        yield pairs[i : i + CHUNK]


class _Joined:
    """Groups that have turned out to be one; a joined group has the name of its first member."""

    def __init__(self, names: list[str]):
        self.sets, self.rank = UnionFind(), {name: i for i, name in enumerate(dict.fromkeys(names))}

    def name(self, group: str) -> str:
        return self.sets.find(group)

    def join(self, a: str, b: str) -> None:
        self.sets.join(*sorted((self.name(a), self.name(b)), key=self.rank.__getitem__))
