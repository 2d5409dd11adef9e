"""Who gets which product."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scout_assets.domain.matching.assignment import best_each, is_one_to_one, one_to_one
from scout_assets.domain.matching.scoring import Scores

NONE = -1e9


def scored(table: list[list[float]]) -> Scores:
    """Every item compared with every product; NONE where it was not."""
    linear = np.array(table, np.float32)
    products = np.broadcast_to(np.arange(linear.shape[1], dtype=np.int32), linear.shape)
    rows = np.where(linear > NONE, products, -1).astype(np.int32)
    nothing = np.zeros(linear.shape)
    return Scores(
        rows, linear, linear, nothing.astype(np.float32), nothing.astype(np.int16),
        nothing.astype(np.uint8), linear,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[1, 0], [0, 1]], [0, 1]),
        ([[5, 4], [4, 1]], [0, 1]),  # greedy: 5 + 1, though 4 + 4 would be more
        ([[5, NONE], [4, NONE]], [0, -1]),  # nothing is left for the second
        ([[4, 3], [5, 1]], [1, 0]),  # the first gives way and takes its second choice
        ([[2, NONE], [2, NONE]], [0, -1]),  # ties go to the item that stands first
        ([[NONE, NONE]], [-1]),
    ],
)
def test_greedy_one_to_one(table: list[list[float]], expected: list[int]) -> None:
    groups = np.zeros(len(table), np.int32)
    assert one_to_one(scored(table), groups, len(table[0])).tolist() == expected


def test_rows_of_two_suppliers_may_share_a_product() -> None:
    table, groups = [[5.0, NONE], [4.0, NONE]], np.array([0, 1], np.int32)
    assert one_to_one(scored(table), groups, 2).tolist() == [0, 0]


def test_best_each_shares_products() -> None:
    assert best_each(scored([[5, 4], [4, 1], [NONE, NONE]])).tolist() == [0, 0, -1]


def test_a_list_is_judged_by_how_its_likely_matches_collide() -> None:
    single = [[9.0 if at == row else -9.0 for at in range(30)] for row in range(30)]
    shared = [[9.0 if at == row // 3 else -9.0 for at in range(30)] for row in range(30)]
    groups = np.zeros(30, np.int32)
    assert is_one_to_one(scored(single), groups)
    assert not is_one_to_one(scored(shared), groups)
    assert is_one_to_one(scored(shared), np.arange(30, dtype=np.int32))  # 30 suppliers
    assert is_one_to_one(scored(shared[:10]), groups[:10])  # too few to tell


@given(
    st.lists(
        st.lists(st.sampled_from([NONE, 0.0, 1.0, 2.0, 3.0]), min_size=4, max_size=4),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_it_is_the_greedy_assignment(table: list[list[float]]) -> None:
    pairs = sorted(
        (-value, item, product)
        for item, row in enumerate(table)
        for product, value in enumerate(row)
        if value > NONE
    )
    expected, gone = [-1] * len(table), set()
    for _, item, product in pairs:
        if expected[item] < 0 and product not in gone:
            expected[item] = product
            gone.add(product)
    assert one_to_one(scored(table), np.zeros(len(table), np.int32), 4).tolist() == expected
