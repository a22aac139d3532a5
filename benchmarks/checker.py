"""How many documents a second does the checker judge, beside a parse with defusedxml alone?

    python -m benchmarks.checker [--json] [DATA.jsonl]

The documents are the SVGs of a data file (default data/twemoji.jsonl). defusedxml with a loop over names is what the
public competition rule does: it reads no values, so it is the floor, not an equal.
"""

import sys
import tracemalloc

from defusedxml import ElementTree

from benchmarks.measure import paired, report, seconds
from prompt_template import extract_svg
from qwen_svg.common.dataset import read_samples
from svg_constraint import DIALECTS, HARD_CAP, SVG_OPEN, check

ROUNDS = 5


def main() -> None:
    path = next((a for a in sys.argv[1:] if not a.startswith("-")), "data/twemoji.jsonl")
    svgs = [extract_svg(sample.answer) or "" for sample in read_samples(path).samples]

    def names_only() -> None:
        for svg in svgs:
            for element in ElementTree.fromstring(svg).iter():
                for name in element.attrib:
                    name.split("}")[-1]

    contenders = {"defusedxml, names only": names_only}
    for dialect in DIALECTS:
        contenders[f"svg_constraint, {dialect}"] = lambda dialect=dialect: [check(svg, dialect) for svg in svgs]
    figures = paired(contenders, ROUNDS)
    size = sum(map(len, svgs)) / len(svgs)
    print(f"{len(svgs)} documents of {size:.0f} characters on average, {ROUNDS} rounds")
    for name, figure in figures.items():
        figure["documents_per_second"] = len(svgs) / figure["seconds"]
        print(f"{name:<34}{figure['documents_per_second']:>9.0f} documents/s  {figure['ratio']:>5.2f}x the time")
    figures["worst"] = worst_case()
    print("worst hostile document: {seconds:.3f} s, {megabytes:.1f} MB extra".format(**figures["worst"]))
    report(figures)


def worst_case() -> dict[str, float]:
    """The longest time and the largest extra memory over documents as long as are read at all."""
    fill = HARD_CAP - len(SVG_OPEN) - 40
    bodies = {
        "elements": "<g/>" * (fill // 4),
        "attributes": '<rect x="1" y="a" width="-1" height="2" fill="cerulean" stroke="url(#a)" class="b"/>'
        * (fill // 85),
        "comments": "<!-- < -->" * (fill // 10),
        "paths": ('<path d="' + "M0 0a1 1 0 011 1" * 1900 + '"/>') * (fill // 30_420),
        "digits": f'<path d="M{"1" * (fill - 20)}"/>',
        "text": "a<g/>" * (fill // 5),
    }
    times, memory = [], []
    for body in bodies.values():
        svg = f"{SVG_OPEN}{body}</svg>"
        for dialect in DIALECTS:
            times.append(seconds(lambda svg=svg, dialect=dialect: check(svg, dialect)))
        tracemalloc.start()
        check(svg)
        memory.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return {"seconds": max(times), "megabytes": max(memory) / 1e6}


if __name__ == "__main__":
    main()
