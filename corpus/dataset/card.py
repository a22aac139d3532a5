"""The data card: counts by source, licence and refusal, and two pictures beside it."""

from collections import Counter
from pathlib import Path

from corpus.dataset.join import Counts
from corpus.sources import ATTRIBUTIONS


def write_card(path: Path, counts: Counts, command: str, lengths: dict[str, list[int]], max_length: int) -> None:
    """Write <name>.md, the contact sheet <name>.png and, where token lengths are known, <name>_tokens.png.

    lengths: of common/token_lengths.py, {} when there is no tokenizer; max_length: the limit drawn, in tokens.
    """
    contact_sheet(counts.examples, path.with_suffix(".png"))
    plot = path.with_name(f"{path.stem}_tokens.png")
    if lengths:
        from common.token_lengths import draw

        draw(lengths, max_length, plot)
    groups = counts.groups
    card = [
        f"# {path.name}",
        "",
        f"{counts.written} drawings with descriptions, reasoning and comments, in {len(groups)} groups (the largest of "
        f"{max(groups.values())}), made by `{command}`: scaled to 256 × 256, rounded and annotated.",
        "",
        "| source | licence | drawings |",
        "|---|---|---|",
        *(f"| {source} | {license} | {count} |" for (source, license), count in sorted(counts.origins.items())),
        "",
        *(f"Artwork: {text}.\n" for text in attributions(counts.origins)),
        f"![before and after]({path.stem}.png)",
        "",
        *([_fit(lengths["total"], max_length), "", f"![token lengths]({plot.name})", ""] if lengths else []),
        *(_refusals(counts.refused) if counts.refused else ["Nothing was left out."]),
    ]
    path.with_suffix(".md").write_text("\n".join(card) + "\n", encoding="utf-8")


def attributions(origins: Counter) -> list[str]:
    return sorted({ATTRIBUTIONS[source] for source, _ in origins if source in ATTRIBUTIONS})


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


def contact_sheet(examples: list[dict], path: Path, size: int = 128, columns: int = 4) -> None:
    """Draw pairs of original and result, `columns` pairs a row; each picture `size` pixels a side."""
    from PIL import Image, ImageDraw, ImageFont

    from common.render import render_rgb
    from prompt_template import extract_svg

    label = 20
    rows = -(-len(examples) // columns)
    sheet = Image.new("RGB", (columns * (2 * size + 16), rows * (size + label + 8)), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for i, line in enumerate(examples):
        x, y = (i % columns) * (2 * size + 16), (i // columns) * (size + label + 8)
        for j, svg in enumerate((line["original"], extract_svg(line["record"]["svg_content"]))):
            sheet.paste(Image.fromarray(render_rgb(svg, size)), (x + j * size, y + label))
        draw.text((x + 4, y + 4), f"{line['record']['description']}: before | after"[:44], fill="#333333", font=font)
    sheet.save(path, optimize=True)
