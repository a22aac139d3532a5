"""The descriptions so far, by theme: what is let in, what is refused and counted, which theme is next."""

from collections import Counter

from corpus.description.duplicates import Known
from corpus.description.refuse import fault
from qwen_svg.svg.content_hash import content_hash


class Collection:
    def __init__(self, themes: list[str], wanted: int):
        """wanted: descriptions at the end."""
        self.wanted = wanted
        self.known = Known()
        self.by_theme: dict[str, list[str]] = {theme: [] for theme in themes}
        self.themes = themes
        self.size = 0
        self.refused: Counter[str] = Counter()

    def restore(self, record: dict) -> None:
        """Put in a description of an earlier run."""
        self.known.add(record["description"])
        self.by_theme.setdefault(record["theme"], []).append(record["description"])
        self.size += 1

    def take(self, descriptions: list[str], theme: str) -> list[dict]:
        """Let in what is new and of use, as far as it is wanted; return the records to write."""
        records = []
        for description in descriptions:
            if self.size == self.wanted:
                break
            if reason := fault(description) or self.known.add(description):
                self.refused[reason] += 1
                continue
            self.by_theme[theme].append(description)
            self.size += 1
            records.append({"id": content_hash(description)[:12], "description": description, "theme": theme})
        return records

    def next_themes(self, per_request: int, at_most: int) -> list[str]:
        """Return the themes to ask about at once, the poorest first, each as often as makes all alike."""
        missing = self.wanted - self.size
        sizes = {theme: len(self.by_theme[theme]) for theme in self.themes}
        chosen = []
        while len(chosen) < min(at_most, -(-missing // per_request)):
            poorest = min(sizes, key=sizes.get)
            sizes[poorest] += per_request
            chosen.append(poorest)
        return chosen
