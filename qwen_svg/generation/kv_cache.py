"""A key-value cache whose rows are slots: a finished row's place is given to the next prompt while the others go on.

All rows end at the same column; a row that was let in later begins further right, and the mask hides what is left of
it. Keys carry their own positions (they are rotated before they are stored), so columns mean nothing to the model.
"""

from collections.abc import Callable
from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer

from qwen_svg.generation.decoder import GivenUp

GROWTH = 256  # columns that are added when a buffer is full


class _Layer(DynamicLayer):
    """Writes into a buffer with room to spare, where DynamicLayer copies everything at each token."""

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        self.dtype, self.device = key_states.dtype, key_states.device
        rows, heads, _, size = key_states.shape
        self.length, self.room = 0, torch.empty(2, rows, heads, 0, size, dtype=self.dtype, device=self.device)
        self.is_initialized = True

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any):
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[2]
        if end > self.room.shape[3]:
            more = self.room.new_empty(*self.room.shape[:3], end - self.length + GROWTH, self.room.shape[4])
            self.room = torch.cat([self.room[:, :, :, : self.length], more], dim=3)
        self.room[0, :, :, self.length : end] = key_states
        self.room[1, :, :, self.length : end] = value_states
        self.length = end
        self.keys, self.values = self.room[0, :, :, :end], self.room[1, :, :, :end]
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.length if self.is_initialized else 0


class KVCache(Cache):
    """`mask` (rows, length) int64: 1 where a column belongs to the row that has the slot now."""

    def __init__(self, mask: torch.Tensor, given_up: Callable[[], bool] | None = None):
        """given_up: asked at every layer; when it says yes, the forward pass ends with GivenUp."""
        super().__init__(layer_class_to_replicate=_Layer)
        self.mask, self.given_up = mask, given_up

    def update(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        if self.given_up and self.given_up():
            raise GivenUp
        return super().update(*args, **kwargs)

    @property
    def length(self) -> int:
        return self.mask.shape[1]

    def extend(self) -> None:
        """Make a column for the next token of every row."""
        self.mask = torch.nn.functional.pad(self.mask, (0, 1), value=1)

    def admit(self, slots: list[int], other: "KVCache") -> None:
        """Give `slots` to the rows of `other`, prompts that have been run by themselves."""
        if other.length > self.length:
            self._shift(other.length - self.length)
        first = self.length - other.length
        self.mask[slots] = torch.nn.functional.pad(other.mask, (first, 0))
        for layer, source in zip(self.layers, other.layers, strict=True):
            layer.room[:, slots, :, first : self.length] = source.room[:, :, :, : other.length]

    def grow(self, by: int) -> None:
        """Make `by` more slots, which belong to no row yet."""
        self.mask = torch.nn.functional.pad(self.mask, (0, 0, 0, by))
        for layer in self.layers:
            shape = list(layer.room.shape)
            layer.room = torch.cat([layer.room, layer.room.new_zeros(shape[0], by, *shape[2:])], dim=1)

    def keep(self, slots: list[int]) -> None:
        """Forget all other slots."""
        self.mask = self.mask[slots]
        for layer in self.layers:
            layer.room = layer.room[:, slots]

    def trim(self) -> None:
        """Forget columns on the left that no row uses any more, once there are many."""
        if self.length % GROWTH:  # to look for them is to wait for a GPU
            return
        unused = int(self.mask.any(dim=0).int().argmax())
        if unused >= GROWTH:
            self._shift(-unused)

    def _shift(self, by: int) -> None:
        """Put `by` columns in on the left, or take them out when negative."""
        self.mask = torch.nn.functional.pad(self.mask, (by, 0))
        for layer in self.layers:
            used = layer.room[:, :, :, : layer.length]
            layer.room = torch.nn.functional.pad(used, (0, 0, by, 0))
            layer.length += by
