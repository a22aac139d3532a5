"""One training sample as the model will see it, on the terminal."""

import sys
from typing import Any

from qwen_svg.common.tokens import IGNORED, Encoded
from qwen_svg.model.batches import LeftPaddingCollator

DIM, BRIGHT, PLAIN = "\x1b[2m", "\x1b[1;32m", "\x1b[0m"


def show_batch(tokenizer: Any, rows: list[Encoded], loss_on: str) -> None:
    """Print a batch's shape and its first row decoded: dim = read only, bright = with loss (the label mask).

    Without colours (output to a file) the two parts are marked in words.
    """
    batch = LeftPaddingCollator(tokenizer.pad_token_id, loss_on)(rows)
    width = batch["input_ids"].shape[1]
    real = int(batch["attention_mask"].sum())
    print(
        f"\none batch: {len(rows)} rows × {width} tokens, {real / batch['input_ids'].numel():.1%} real, "
        f"{len(batch['shift_labels'])} with loss; sample {rows[0].id!r}:\n"
    )
    colours = sys.stdout.isatty()
    for with_loss, ids in _runs(batch["input_ids"][0, -rows[0].length :], batch["labels"][0, -rows[0].length :]):
        text = tokenizer.decode(ids)
        if colours:
            print(f"{BRIGHT if with_loss else DIM}{text}{PLAIN}", end="")
        else:
            print(f"[{'loss' if with_loss else 'no loss'}: {len(ids)} tokens]\n{text}")
    print("\n")


def _runs(ids: Any, labels: Any) -> list[tuple[bool, list[int]]]:
    """Split token ids where the label mask changes."""
    runs: list[tuple[bool, list[int]]] = []
    for token, label in zip(ids.tolist(), labels.tolist(), strict=True):
        with_loss = label != IGNORED
        if not runs or runs[-1][0] != with_loss:
            runs.append((with_loss, []))
        runs[-1][1].append(token)
    return runs
