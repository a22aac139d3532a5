"""The data card: counts by source, licence and refusal, and two pictures beside it."""

from collections import Counter
from pathlib import Path

from corpus.dataset.join import Counts
from corpus.sources import ATTRIBUTIONS
from prompt_template import extract_svg
from qwen_svg.common.sheet import write_sheet
from qwen_svg.svg.render import png_bytes
from qwen_svg.training.token_lengths import draw


def write_card(
    path: Path,
    counts: Counts,
    command: str,
    lengths: dict[str, list[int]],
    max_length: int,
    artwork: dict[str, str] = ATTRIBUTIONS,
) -> None:
    """Write <name>.md, the contact sheet <name>.png and, where token lengths are known, <name>_tokens.png.

    lengths: of training/token_lengths.py, {} when there is no tokenizer; max_length: the limit drawn, in tokens.
    artwork: source → whom it is by, and under which licence.
    """
    contact_sheet(path.with_suffix(".png"), counts.examples)
    plot = path.with_name(f"{path.stem}_tokens.png")
    if lengths:
        draw(lengths, max_length, plot)
    groups = counts.groups
    card = [
        f"# {path.name}",
        "",
        f"{_drawings(counts)} with descriptions, reasoning and comments, in {len(groups)} groups (the largest of "
        f"{max(groups.values())}), made by `{command}`: scaled to 256 × 256, rounded and annotated.",
        "",
        "| source | licence | drawings |",
        "|---|---|---|",
        *(f"| {source} | {license} | {count} |" for (source, license), count in sorted(counts.origins.items())),
        "",
        *(f"Artwork: {text}.\n" for text in attributions(counts.origins, artwork)),
        f"![before and after]({path.stem}.png)",
        "",
        *([_fit(lengths["total"], max_length), "", f"![token lengths]({plot.name})", ""] if lengths else []),
        *(_refusals(counts.refused) if counts.refused else ["Nothing was left out."]),
    ]
    path.with_suffix(".md").write_text("\n".join(card) + "\n", encoding="utf-8")


def _drawings(counts: Counts) -> str:
    drawings = sum(counts.origins.values())
    in_words = f" in {counts.written} samples, each in other words," if counts.written != drawings else ""
    return f"{drawings} drawings{in_words}"


def attributions(origins: Counter, artwork: dict[str, str] = ATTRIBUTIONS) -> list[str]:
    return sorted({artwork[source] for source, _ in origins if source in artwork})


def _fit(totals: list[int], limit: int) -> str:
    over = sum(total > limit for total in totals)
    return f"{len(totals) - over} of {len(totals)} samples have at most {limit} tokens, prompt and answer."


def _refusals(refused: Counter) -> list[str]:
    sources = sorted({source for source, _ in refused})
    totals: Counter = Counter()
    for (_, reason), count in refused.items():
        totals[reason] += count
    return [
        f"| left out because | {' | '.join(sources)} |",
        "|---" * (len(sources) + 1) + "|",
        *(
            f"| {reason} | {' | '.join(str(refused[source, reason]) for source in sources)} |"
            for reason, _ in sorted(totals.items(), key=lambda item: (-item[1], item[0]))
        ),
    ]


def contact_sheet(path: Path, examples: list[dict]) -> None:
    """Draw originals and, to the right of each, what became of it."""
    cells = []
    for line in examples:
        cells.append((line["record"]["description"], png_bytes(line["original"])))
        cells.append(("as it is in the data", png_bytes(extract_svg(line["record"]["svg_content"]))))
    write_sheet(path, cells)
