"""Two cards of the same prompts: what differs, prompt by prompt, and a page on which people say which is better."""

import html
import json
import random
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import write_json, write_text
from qwen_svg.common.tables import rows
from qwen_svg.evaluation.bootstrap import paired_difference
from qwen_svg.evaluation.card import SVGS, interval, number, read_card
from qwen_svg.evaluation.card_report import figure_table, picture
from qwen_svg.evaluation.page import page
from qwen_svg.evaluation.profile import read_profile
from qwen_svg.evaluation.profile_pictures import profile_png

OK = "ok to people"  # the figure that labels become
LABELS = {"ok": 1, "not ok": 0}


def compare_cards(one: str, other: str, into: Path, labels: str = "") -> Path:
    """Write comparison.json, comparison.html and vote.html for two cards; return the folder, one in `into`.

    labels: the labels.csv that vote.html has saved. Raises UserError where the cards are of other prompts or of another
    protocol, and for labels that are none.
    """
    (card, samples), (card2, samples2) = read_card(one), read_card(other)
    if card["protocol"] != card2["protocol"]:
        raise UserError(
            f"COMPARE {one} and {other} are under {card['profile']} and {card2['profile']}; take one of both."
        )
    if list(card["prompt_files"].values()) != list(card2["prompt_files"].values()):
        raise UserError(f"COMPARE {one} and {other} are of other prompts: {card['prompts']} and {card2['prompts']}.")
    theirs = {sample["id"]: sample for sample in samples2}
    pairs = [(sample, theirs[sample["id"]]) for sample in samples if sample["id"] in theirs]
    if len(pairs) < max(len(samples), len(samples2)):
        raise UserError(
            f"COMPARE {one} and {other} have {len(pairs)} prompts in common, of {card['n']} and {card2['n']}."
        )
    if labels:
        _add_labels(labels, pairs)
    folder = into / f"{card['profile']}-{card['model']}-or-{card2['model']}"
    folder.mkdir(parents=True, exist_ok=True)
    found = differences(pairs)
    models = [card["model"], card2["model"]]
    write_json(folder / "comparison.json", {"models": models, "n": len(pairs), "differences": found})
    print(differences_text(models, found))
    pictures = [_pictures(pair, (one, other), card["profile"]) for pair in pairs]
    write_text(folder / "comparison.html", _gallery([card, card2], found, pairs, pictures))
    write_text(folder / "vote.html", _vote(folder.name, pairs, pictures))
    return folder


def _add_labels(path: str, pairs: list[tuple[dict, dict]]) -> None:
    """Give the samples what people have said of them."""
    known = {first["id"]: (first, second) for first, second in pairs}
    for row in rows(path):
        id = row.values.get("id")
        if row.fault or id not in known:
            raise UserError(f"{row.place}: {row.fault or f'id {id!r} is not among the prompts of these cards'}.")
        for sample, column in zip(known[id], ("label", "label_of_second"), strict=True):
            if row.values.get(column) not in LABELS:
                raise UserError(f"{row.place}: {column} is neither 'ok' nor 'not ok'; vote.html saves such a file.")
            sample["scores"][OK] = LABELS[row.values[column]]


def differences(pairs: list[tuple[dict, dict]]) -> dict[str, dict]:
    """Return by figure the mean of first - second over the prompts where both have it: {value, low, high, n}."""
    found = {}
    for name in dict.fromkeys(name for pair in pairs for name in _figures(pair[0])):
        both = [(_figures(a).get(name), _figures(b).get(name)) for a, b in pairs]
        known = [(float(a), float(b)) for a, b in both if a is not None and b is not None]
        if known:
            value, low, high = paired_difference(*map(list, zip(*known, strict=True)))
            found[name] = {"value": value, "low": low, "high": high, "n": len(known)}
    return found


def differences_text(models: list[str], found: dict[str, dict]) -> str:
    """Return a table for a terminal; a star marks an interval without 0."""
    lines = [f"{models[0]} - {models[1]}, mean over prompts [95 % of paired resamples]"]
    for name, figure in found.items():
        star = " *" if figure["low"] > 0 or figure["high"] < 0 else ""
        lines.append(f"{name:<26}{number(figure['value']):>10}  [{interval(figure)}]{star}")
    return "\n".join(lines)


def _figures(sample: dict) -> dict[str, float | None]:
    numbers = {name: value for name, value in sample.items() if isinstance(value, int | float)}
    return {name: value for name, value in numbers.items() if name != "finished"} | sample["scores"]


def _pictures(pair: tuple[dict, dict], folders: tuple[str, str], profile: str) -> list[bytes | None]:
    return [_picture(sample, folder, profile) for sample, folder in zip(pair, folders, strict=True)]


def _picture(sample: dict, folder: str, profile: str) -> bytes | None:
    if not sample["svg"]:
        return None
    path = Path(folder)
    file = (path if path.is_dir() else path.parent) / SVGS / sample["svg"]
    try:
        return profile_png(file.read_text(encoding="utf-8"), read_profile(profile))
    except OSError as error:
        raise UserError(f"{file} cannot be read ({error.strerror}); make the card again.") from None


def _gallery(cards: list[dict], found: dict, pairs: list, pictures: list[list[bytes | None]]) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{number(figure['value'])}</td>"
        f'<td class="interval">{interval(figure)}</td><td>{figure["n"]}</td></tr>'
        for name, figure in found.items()
    )
    table = f"<table><tr><th>first - second</th><th>mean</th><th>95 %, paired</th><th>n</th></tr>{lines}</table>"
    sections = "".join(_row(pair[0]["prompt"], two, cards) for pair, two in zip(pairs, pictures, strict=True))
    title = f"{cards[0]['model']} or {cards[1]['model']}, under {cards[0]['profile']}"
    return page(title, f"{figure_table(cards)}<h2>Differences</h2>{table}<h2>Drawings ({len(pairs)})</h2>{sections}")


def _row(prompt: str, two: list[bytes | None], cards: list[dict]) -> str:
    figures = "".join(
        f"<figure>{picture(png, '' if png else 'does not render')}<figcaption>{html.escape(card['model'])}</figcaption>"
        "</figure>"
        for png, card in zip(two, cards, strict=True)
    )
    return f"<section><h3>{html.escape(prompt)}</h3><div class='row'>{figures}</div></section>"


def _vote(name: str, pairs: list, pictures: list[list[bytes | None]]) -> str:
    """Two drawings at a time, which is which unknown; in the order of the file, sides by a fixed seed."""
    side, sections = random.Random(0), []
    for pair, two in zip(pairs, pictures, strict=True):
        order = [0, 1] if side.random() < 0.5 else [1, 0]
        shown = "".join(f"<figure>{picture(two[i], '' if two[i] else 'nothing')}</figure>" for i in order)
        text = f"<h3>{html.escape(pair[0]['prompt'])}</h3><div class='row'>{shown}</div>"
        data = html.escape(json.dumps({"id": pair[0]["id"], "order": order}))
        sections.append(f'<section class="pair" data-pair="{data}" hidden>{text}</section>')
    keys = "<p><kbd>←</kbd> left is better · <kbd>→</kbd> right · <kbd>↑</kbd> both are ok · <kbd>↓</kbd> neither · "
    keys += "<kbd>Backspace</kbd> one back</p><p id='state'></p><p><button id='save'>labels.csv</button></p>"
    return page(f"Which is better? {name}", keys + "".join(sections), _VOTE.replace("NAME", json.dumps(name)))


# A vote is ok or not ok for each of the two drawings: evaluate_test.py's labels. Kept in the browser until it is saved.
_VOTE = """
const pairs = [...document.querySelectorAll(".pair")].map(e => ({element: e, ...JSON.parse(e.dataset.pair)}));
const key = "votes of " + NAME, votes = JSON.parse(localStorage.getItem(key) || "{}");
const keys = {ArrowLeft: [1, 0], ArrowRight: [0, 1], ArrowUp: [1, 1], ArrowDown: [0, 0]};
let at = pairs.findIndex(p => !(p.id in votes));
if (at < 0) at = pairs.length;
function show() {
  pairs.forEach((p, i) => p.element.hidden = i !== at);
  document.getElementById("state").textContent = at < pairs.length
    ? `${at + 1} of ${pairs.length}` : "All are judged: save labels.csv.";
}
function cell(text) { return /[",\\r\\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text; }
function csv() {
  const word = ok => ok ? "ok" : "not ok";
  const lines = pairs.filter(p => p.id in votes)
    .map(p => [cell(p.id), word(votes[p.id][0]), word(votes[p.id][1])].join(","));
  return ["id,label,label_of_second", ...lines].join("\\r\\n") + "\\r\\n";
}
document.addEventListener("keydown", event => {
  if (event.key === "Backspace" && at > 0) { at--; delete votes[pairs[at].id]; }
  else if (event.key in keys && at < pairs.length) {
    const [left, right] = keys[event.key], vote = [];
    vote[pairs[at].order[0]] = left; vote[pairs[at].order[1]] = right;
    votes[pairs[at].id] = vote; at++;
  } else return;
  event.preventDefault();
  localStorage.setItem(key, JSON.stringify(votes));
  show();
});
document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = "data:text/csv;charset=utf-8," + encodeURIComponent(csv());
  link.download = "labels.csv"; link.click();
});
show();
"""
