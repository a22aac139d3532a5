"""What the heap holds on to goes back to the system."""

import platform

import psutil
import pytest

from qwen_svg.training.malloc_trim import malloc_trim

MB = 1_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")
def test_gaps_between_living_blocks_go_back_to_the_system():
    def resident() -> float:
        return psutil.Process().memory_info().rss / MB

    blocks = [bytearray(50_000) for _ in range(4000)]  # below what malloc maps by itself
    blocks = blocks[::100]  # a hundredth stays where it is, all over the heap
    before = resident()
    malloc_trim()
    assert before - resident() > 100
    assert all(not any(block) for block in blocks)
