"""Which things belong together, where pairs are told one by one (disjoint sets; Tarjan 1975).

scipy has one (`scipy.cluster.hierarchy.DisjointSet`), but training does without scipy, whose import takes longer than
splitting a data file.
"""

from collections.abc import Hashable


class UnionFind:
    """Disjoint sets of anything hashable; what has not been named yet is a set of its own."""

    def __init__(self) -> None:
        self._parent: dict[Hashable, Hashable] = {}

    def find(self, member: Hashable) -> Hashable:
        """Return the member that stands for the whole set; it is the one that was named first in a `join`."""
        parent = self._parent
        parent.setdefault(member, member)
        while parent[member] != member:
            parent[member] = parent[parent[member]]  # halves the path for the next time
            member = parent[member]
        return member

    def join(self, member: Hashable, other: Hashable) -> None:
        """Put two sets together; the first one's representative stands for both."""
        first, second = self.find(member), self.find(other)
        self._parent[second] = first
