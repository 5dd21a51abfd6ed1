"""Multi-scale deformable attention in plain PyTorch: each query looks at a few learned places of each map.

Source: X. Zhu et al., "Deformable DETR", arXiv:2010.04159, eq. 3, with references that are given instead of
learned. The sampling is ``grid_sample``: no custom operator, so that it runs and exports anywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Grid = tuple[int, int]
"""(rows, cols) of a map whose tokens are listed row by row."""


class DeformableAttention(nn.Module):
    """MSDA(q, v) = W_out Σ_level Σ_point A · bilinear(W_value v, reference + offset / size).

    Offsets and the weights A are linear in the query; A is a softmax over all levels and points of a head.
    At the start every head looks into its own direction, 1, 2, … pixels far, with equal weights.

    Parameters
    ----------
    dim
        Channels of queries and values.
    heads
        Heads, each with its own offsets and weights.
    levels
        Number of maps to look at.
    points
        Places that a head looks at on each map.
    value_ratio
        Channels of the projected values in units of ``dim``.
    """

    def __init__(
        self, dim: int, *, heads: int, levels: int, points: int = 4, value_ratio: float = 1.0
    ) -> None:
        super().__init__()
        inner = int(dim * value_ratio)
        if heads < 1 or inner % heads:
            # TypeError: build_network turns it into a ModelError that names the whole configuration.
            raise TypeError(f"{inner} channels of values cannot be split among {heads} heads")
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(dim, heads * levels * points * 2)
        self.weights = nn.Linear(dim, heads * levels * points)
        self.value = nn.Linear(dim, inner)
        self.output = nn.Linear(inner, dim)
        self._initialise()

    def forward(self, queries: Tensor, references: Tensor, values: Tensor, grids: Sequence[Grid]) -> Tensor:
        """What each query sees.

        Parameters
        ----------
        queries
            (N, Q, dim).
        references
            (Q, 2), each query's own place as (x, y), 0–1 over the maps, see :func:`centres`.
        values
            (N, S, dim), the tokens of all maps, one map after the other.
        grids
            Rows and columns of each map; S is the sum of their products.

        Returns
        -------
        Tensor
            (N, Q, dim).
        """
        n, q = queries.shape[:2]
        shape = (n, q, self.heads, self.levels, self.points)
        # bf16 would place a sample in a map of 128 pixels to half a pixel only.
        exact = torch.promote_types(queries.dtype, torch.float32)
        offsets = self.offsets(queries).view(*shape, 2).to(exact)
        weights = self.weights(queries).view(n, q, self.heads, -1).softmax(dim=-1).view(shape)
        projected = self.value(values).view(n, values.shape[1], self.heads, -1)
        sizes = [rows * cols for rows, cols in grids]
        samples = []
        for level, tokens in enumerate(torch.split(projected, sizes, dim=1)):
            rows, cols = grids[level]
            size = offsets.new_tensor([cols, rows])
            places = references.to(exact)[:, None, None] + offsets[:, :, :, level] / size
            samples.append(_sample(tokens, places, (rows, cols)))
        seen = torch.stack(samples, dim=4)  # (N, heads, C, Q, levels, points)
        mixed = torch.einsum("nhcqlp,nqhlp->nqhc", seen, weights.to(seen.dtype))
        result: Tensor = self.output(mixed.flatten(2).to(values.dtype))
        return result

    def _initialise(self) -> None:
        nn.init.zeros_(self.offsets.weight)
        nn.init.zeros_(self.weights.weight)
        nn.init.zeros_(self.weights.bias)
        directions = []
        for head in range(self.heads):
            x, y = math.cos(2 * math.pi * head / self.heads), math.sin(2 * math.pi * head / self.heads)
            # On the unit square, so that neighbours along an axis are whole pixels away.
            directions.append((x / max(abs(x), abs(y)), y / max(abs(x), abs(y))))
        steps = torch.arange(1.0, self.points + 1)
        biases = torch.tensor(directions)[:, None, None] * steps[:, None]  # (heads, 1, points, 2)
        with torch.no_grad():
            self.offsets.bias.copy_(biases.expand(-1, self.levels, -1, -1).flatten())
        for linear in (self.value, self.output):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)


def centres(grids: Sequence[Grid], *, like: Tensor) -> Tensor:
    """(x, y) of every token's centre, 0–1 over its map, the maps one after the other: (S, 2) float32."""
    places = []
    for rows, cols in grids:
        y = (torch.arange(rows, device=like.device, dtype=torch.float32) + 0.5) / rows
        x = (torch.arange(cols, device=like.device, dtype=torch.float32) + 0.5) / cols
        places.append(torch.stack([x.repeat(rows), y.repeat_interleave(cols)], dim=-1))
    return torch.cat(places)


def _sample(tokens: Tensor, places: Tensor, grid: Grid) -> Tensor:
    """Tokens (N, rows · cols, heads, C) at places (N, Q, heads, points, 2) → (N, heads, C, Q, points)."""
    n, _, heads, channels = tokens.shape
    maps = tokens.permute(0, 2, 3, 1).reshape(n * heads, channels, *grid)
    # grid_sample wants (x, y) from −1 to 1, edge to edge.
    where = (2 * places - 1).transpose(1, 2).flatten(0, 1)
    seen = F.grid_sample(
        maps.to(where.dtype), where, mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return seen.view(n, heads, channels, *seen.shape[2:])
