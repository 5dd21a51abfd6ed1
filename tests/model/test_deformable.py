"""Deformable attention against its equation, computed slowly, sample by sample, in float64."""

import math

import pytest
import torch

from cropseg_geo.model.networks.deformable import DeformableAttention, centres

GRIDS = [(4, 6), (2, 3), (1, 2)]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def attention(grids=GRIDS, **changes):
    torch.manual_seed(1)
    module = DeformableAttention(8, **{"heads": 2, "levels": len(grids), "points": 3, **changes}).double()
    # Away from the start, where all samples are whole pixels apart and all weights are equal.
    for linear in (module.offsets, module.weights):
        torch.nn.init.normal_(linear.weight, std=0.3)
    return module


def bilinear(tokens, grid, x, y):
    """The map's value at (x, y) in 0–1, zeros outside; tokens (rows · cols, C)."""
    rows, cols = grid
    row, col = y * rows - 0.5, x * cols - 0.5
    total = torch.zeros(tokens.shape[1], dtype=tokens.dtype)
    for i in (math.floor(row), math.floor(row) + 1):
        for j in (math.floor(col), math.floor(col) + 1):
            if 0 <= i < rows and 0 <= j < cols:
                total += (1 - abs(row - i)) * (1 - abs(col - j)) * tokens[i * cols + j]
    return total


def slow_attention(module, queries, references, values, grids):
    n, q, _ = queries.shape
    shape = (n, q, module.heads, module.levels, module.points)
    offsets = module.offsets(queries).view(*shape, 2)
    weights = module.weights(queries).view(n, q, module.heads, -1).softmax(-1).view(shape)
    projected = module.value(values).view(n, values.shape[1], module.heads, -1)
    out = torch.zeros(n, q, module.heads, projected.shape[-1], dtype=torch.float64)
    for b, k, h in ((b, k, h) for b in range(n) for k in range(q) for h in range(module.heads)):
        start = 0
        for level, (rows, cols) in enumerate(grids):
            tokens = projected[b, start : start + rows * cols, h]
            start += rows * cols
            for point in range(module.points):
                dx, dy = offsets[b, k, h, level, point].tolist()
                x, y = references[k, 0].item() + dx / cols, references[k, 1].item() + dy / rows
                out[b, k, h] += weights[b, k, h, level, point] * bilinear(tokens, (rows, cols), x, y)
    return module.output(out.flatten(2))


@pytest.mark.parametrize("grids", [GRIDS, [(3, 3)]])
@pytest.mark.parametrize("value_ratio", [1.0, 0.5])
def test_it_is_the_weighted_sum_of_bilinear_samples(grids, value_ratio):
    module = attention(grids, value_ratio=value_ratio)
    queries, values = random(2, 6, 8), random(2, sum(r * c for r, c in grids), 8, seed=1)
    references = centres([(2, 3)], like=queries).double()
    with torch.no_grad():
        torch.testing.assert_close(
            module(queries, references, values, grids),
            slow_attention(module, queries, references, values, grids),
        )


def test_the_gradient_is_the_numerical_one():
    module = attention([(2, 3)])
    queries, values = random(1, 2, 8).requires_grad_(), random(1, 6, 8, seed=1).requires_grad_()
    references = centres([(1, 2)], like=queries).double()
    assert torch.autograd.gradcheck(lambda q, v: module(q, references, v, [(2, 3)]), (queries, values))


def test_at_the_start_each_head_looks_its_own_way_with_equal_weights():
    module = DeformableAttention(8, heads=4, levels=1, points=2)
    expected = [[[1, 0], [2, 0]], [[0, 1], [0, 2]], [[-1, 0], [-2, 0]], [[0, -1], [0, -2]]]
    torch.testing.assert_close(module.offsets.bias.view(4, 2, 2), torch.tensor(expected, dtype=torch.float32))
    assert not module.offsets.weight.any()
    assert not module.weights.weight.any()
    assert not module.weights.bias.any()


def test_centres_are_x_before_y_row_by_row():
    expected = [[0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]]
    torch.testing.assert_close(centres([(1, 2), (2, 1)], like=torch.zeros(1)), torch.tensor(expected))


def test_a_constant_map_is_seen_as_that_constant():
    module = attention([(8, 8)], points=1)
    torch.nn.init.zeros_(module.offsets.weight)
    values = torch.ones(1, 64, 8, dtype=torch.float64)
    middle = torch.full((1, 2), 0.5, dtype=torch.float64)
    with torch.no_grad():
        seen = module(random(1, 1, 8), middle, values, [(8, 8)])
        torch.testing.assert_close(seen[0, 0], module.output(module.value(values))[0, 0])


def test_bf16_queries_are_placed_in_full_precision():
    module = attention().float()
    queries, values = random(1, 6, 8).float(), random(1, 32, 8, seed=1).float()
    references = centres([(2, 3)], like=queries)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = module(queries, references, values, GRIDS)
    with torch.no_grad():
        exact = module(queries, references, values, GRIDS)
    assert (rough - exact).abs().max() < 0.05


def test_values_that_cannot_be_split_among_the_heads_are_refused():
    with pytest.raises(TypeError, match="4 channels of values cannot be split among 3 heads"):
        DeformableAttention(8, heads=3, levels=1, value_ratio=0.5)
