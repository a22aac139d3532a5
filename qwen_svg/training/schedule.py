"""How many steps fit into the time? Told before the first one, by a step that was measured.

A clock that stops a training leaves the learning rate wherever the schedule was; a schedule that is shortened comes to
its end, and its model is a finished one.
"""

import math
import time
from statistics import fmean
from types import SimpleNamespace

import torch

from qwen_svg.common.processes import broadcast, is_main, processes, sharding
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.load import LoadedModel
from qwen_svg.model.loss import summed_loss
from qwen_svg.training.token_store import StoredRows

# Of a step's time, for as many tokens: backward there is one product for each forward, since a frozen matrix needs no
# gradient. Measured: 0.5 with Qwen2.5-Coder-0.5B, 0.4 with SmolLM2-135M.
FORWARD = 1 / 2
AT = (1 / 4, 1 / 2, 3 / 4)  # of the samples by length: where the batches begin whose steps are measured


def fit_schedule(c: SimpleNamespace, loaded: LoadedModel, rows: StoredRows, valid: StoredRows) -> int:
    """Print how long the training will take; shorten c.EPOCHS where that is more than c.FIT_MINUTES.

    rows, valid: the parts that are trained and validated on. Returns the steps that were asked for, where some are cut
    away, else 0. Divided models (FSDP, DeepSpeed) are not measured.
    """
    if not c.FIT_MINUTES or sharding():
        return 0
    seconds = broadcast(measure_step(c, loaded, rows) if is_main() else None)
    a_step = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes()
    validation = FORWARD * seconds * sum(valid.lengths) / (a_step * sum(rows.lengths) / len(rows))
    an_epoch = math.ceil(len(rows) / a_step)
    asked = math.ceil(c.EPOCHS * an_epoch)
    steps = steps_that_fit(asked, seconds, validation, c.EVAL_STEPS, c.FIT_MINUTES)
    minutes = minutes_of(steps, seconds, validation, c.EVAL_STEPS)
    if steps == asked:
        print(f"a step takes {seconds:.1f} s, measured: {steps} steps in about {minutes:.0f} min, validation included")
        return 0
    c.EPOCHS = round(steps / an_epoch - 0.5 / an_epoch, 6)  # the Trainer rounds the number of steps up
    print(
        f"a step takes {seconds:.1f} s, measured: {steps} of {asked} steps fit into FIT_MINUTES ({c.FIT_MINUTES:g}); "
        "the schedule is shortened to them. It will have learned less than a whole training teaches"
    )
    return asked


def steps_that_fit(asked: int, seconds: float, validation: float, every: int, minutes: float) -> int:
    """Return at most `asked` steps, at least one. seconds: of a step; validation: seconds of one, `every` so many."""
    fits = (n for n in range(asked, 0, -1) if minutes_of(n, seconds, validation, every) <= minutes)
    return next(fits, 1)


def minutes_of(steps: int, seconds: float, validation: float, every: int) -> float:
    """Return the minutes of a training: its steps, and validation before the first, `every` so many, at the end."""
    return (steps * seconds + (1 + math.ceil(steps / every)) * validation) / 60


def measure_step(c: SimpleNamespace, loaded: LoadedModel, rows: StoredRows) -> float:
    """Return the mean seconds of steps of several lengths, which are new to the machine as they are in training.

    Ahead of them goes one that is not counted. The model stays as it was.
    """
    by_length = sorted(range(len(rows)), key=lambda i: rows.lengths[i])
    collate = LeftPaddingCollator(loaded.tokenizer.pad_token_id, c.LOSS_ON)
    model, times = loaded.model.train(), []
    with torch.random.fork_rng([loaded.device] if loaded.device.type == "cuda" else []):
        for share in (0, *AT):
            some = by_length[int(share * len(by_length)) :][: c.BATCH_SIZE]
            batch = {name: tensor.to(loaded.device) for name, tensor in collate([rows[i] for i in some]).items()}
            start = time.perf_counter()
            summed_loss(model, **batch).backward()
            if loaded.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    model.zero_grad()
    return c.GRADIENT_ACCUMULATION * fmean(times[1:])
