"""The colour index by itself: excess green cut by Otsu's threshold, a fixed one, the learned one, the best.

In tiles of 512 px, thresholds on the edges of the learned one's histogram. The best is each tile's own, found
with the truth: what no threshold can exceed.

uv run python tests/benchmarks/thresholds.py [MODEL] --every 4
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cropseg_geo.model.networks.threshold import BINS, LearnedThreshold
from cropseg_geo.model.weights import load_state
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import CERTAIN, UNKNOWN, default_data_root
from training.evaluation.sets import Sample, choice_sets
from training.threshold import Seen, look_at, scores

TILE_PX = 512
FIXED = 32
"""The candidate 0.1: 32 bins above −0.3."""

PART = "prior.threshold."


def tiles(sample: Sample) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (1, 3, H, W) on −1–1 with their targets (H, W); odd last rows and columns are left out."""
    image = torch.from_numpy(sample.image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
    truth = torch.from_numpy(sample.truth.copy())
    target = torch.where(truth == UNKNOWN, UNKNOWN, torch.where(truth > 0, CERTAIN, 0))
    height, width = (length - length % 2 for length in target.shape)
    for row in range(0, height, TILE_PX):
        for col in range(0, width, TILE_PX):
            rows, cols = slice(row, min(row + TILE_PX, height)), slice(col, min(col + TILE_PX, width))
            yield image[..., rows, cols], target[rows, cols]


def otsu(seen: Seen) -> Tensor:
    """The candidate of the largest variance between the groups, (N,)."""
    middles = torch.arange(BINS) + 0.5
    above = seen.shares.flip(1).cumsum(1).flip(1)
    total = (seen.shares * middles).flip(1).cumsum(1).flip(1)
    below = (1.0 - above).clamp(min=1e-6)
    distance = total / above.clamp(min=1e-6) - (total[:, :1] - total) / below
    return (above * below * distance**2).argmax(dim=1)


def learned(threshold: LearnedThreshold) -> Callable[[Seen], Tensor]:
    """Its candidate, rounded."""
    return lambda seen: (threshold.votes(seen.shares) * torch.arange(BINS)).sum(1).round().long()


def miou(seen: Seen, pixels: Tensor, chosen: Tensor) -> float:
    """Of all tiles together, in percent; ``pixels`` (N,) is how many each tile has."""
    right, wrong = (
        (part.flip(1).cumsum(1).flip(1).gather(1, chosen[:, None])[:, 0] * pixels).sum().item()
        for part in (seen.plants, seen.ground)
    )
    plants, ground = ((part.sum(1) * pixels).sum().item() for part in (seen.plants, seen.ground))
    return 50.0 * (right / (plants + wrong) + (ground - wrong) / (ground + plants - right))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL)
    parser.add_argument("--every", type=int, default=4, help="every nth picture of the development sets")
    options = parser.parse_args()
    state = load_state(find_model(options.model))
    threshold = LearnedThreshold().eval()
    threshold.load_state_dict({k.removeprefix(PART): v.float() for k, v in state.items() if PART in k})
    ways: dict[str, Callable[[Seen], Tensor]] = {
        "Otsu": otsu,
        "0.1": lambda seen: torch.full((len(seen.shares),), FIXED),
        "learned": learned(threshold),
        "best": lambda seen: scores(seen, accuracy_share=0.5).argmax(dim=1),
    }
    print(f"{'mIoU of the index alone':32s}" + "".join(f"{way:>9s}" for way in ways))
    for test_set in choice_sets(default_data_root(), every=options.every):
        looks = [(look_at(*tile), tile[1].numel()) for read in test_set.readers for tile in tiles(read())]
        seen = Seen(*(torch.stack(parts) for parts in zip(*(look for look, _ in looks), strict=True)))
        pixels = torch.tensor([count for _, count in looks], dtype=torch.float64)
        cells = "".join(f"{miou(seen, pixels, choose(seen)):9.1f}" for choose in ways.values())
        print(f"{test_set.name:32s}{cells}", flush=True)


if __name__ == "__main__":
    main()
