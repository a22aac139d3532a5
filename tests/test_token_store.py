"""Token ids on disk read back as they were, in any order, slices and forked workers included."""

import pytest
import torch

from qwen_svg.common.tokens import Encoded
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.training.token_store import TokenStore

ROWS = [Encoded(f"id{i}", list(range(i, 3 * i + 2)), [151_935] * (i % 3 + 1)) for i in range(20)]


@pytest.fixture
def store():
    store = TokenStore()
    assert [store.append(row) for row in ROWS] == list(range(20))
    return store


def test_rows_come_back_in_the_order_asked_for(store):
    rows = store.rows([7, 0, 19])
    assert list(rows) == [ROWS[7], ROWS[0], ROWS[19]]
    assert rows[-2:] == [ROWS[0], ROWS[19]] and len(rows) == 3
    assert rows.lengths == [ROWS[i].length for i in (7, 0, 19)]
    assert rows.longest(2) == [ROWS[7], ROWS[19]] and len(rows.longest(9)) == 3
    with pytest.raises(IndexError):
        rows[3]


def test_data_workers_read_the_same(store):
    loader = torch.utils.data.DataLoader(
        store.rows(range(20)), batch_size=4, num_workers=2, collate_fn=LeftPaddingCollator(0)
    )
    for start, batch in zip(range(0, 20, 4), loader, strict=True):
        expected = LeftPaddingCollator(0)(ROWS[start : start + 4])
        assert all(torch.equal(batch[name], expected[name]) for name in expected)
