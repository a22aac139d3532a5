"""Which samples a step takes, and which process takes which of them: like lengths together, in a random order."""

from collections.abc import Iterator, Sequence

import torch

from qwen_svg.common.tokens import FILLER, Encoded
from qwen_svg.model.batches import batches_by_length


def share(rows: Sequence[Encoded], batch_size: int, rank: int, processes: int) -> list[Encoded]:
    """Return what process `rank` takes of `batches_by_length`: every n-th batch, all processes the same number."""
    missing = -len(rows) % (batch_size * processes)
    batches = list(batches_by_length([*rows, *[FILLER] * missing], batch_size))
    return [row for batch in batches[rank::processes] for row in batch]


class LengthGroupedSampler(torch.utils.data.Sampler[int | None]):
    """Random order in which every consecutive `step` samples have about the same length.

    Shuffled each epoch from (seed, epoch) alone, so a resumed run sees the same order. Samples are sorted by
    length only inside random pools of 50 steps, and the steps are then shuffled: a step's members stay random,
    and the loss curve shows no long-to-short runs.

    step: samples in a step of all processes together. together: samples in one forward pass of all processes; where the
    last pass of an epoch would leave some of them without, None (see `StoredRows`) stands for a `FILLER`. So a step has
    the same samples however many processes share it.
    """

    def __init__(self, lengths: list[int], step: int, seed: int, together: int = 1):
        self.lengths, self.step, self.seed, self.epoch = lengths, step, seed, 0
        self.fillers = -len(lengths) % together

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) + self.fillers

    def __iter__(self) -> Iterator[int | None]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=random).tolist()
        pool = 50 * self.step
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        order = [i for members in pools for i in sorted(members, key=lambda i: self.lengths[i])]
        steps = [order[i : i + self.step] for i in range(0, len(order), self.step)]
        short = [steps.pop()] if len(steps[-1]) < self.step else []  # stays last, or it would shift the others
        for i in torch.randperm(len(steps), generator=random).tolist():
            yield from steps[i]
        for members in short:
            yield from members
        yield from [None] * self.fillers
