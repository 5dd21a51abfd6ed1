"""The colour index by itself: excess green cut by Otsu's threshold, a fixed one, the learned one, the best.

In tiles of 512 px, thresholds on the edges of the learned one's histogram. The best is each tile's own, found
with the truth: what no threshold can exceed.

uv run python tests/benchmarks/thresholds.py [MODEL] --every 4
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from cropseg_geo.model.networks.greenness import excess_green
from cropseg_geo.model.networks.threshold import BINS, bin_of, from_bin_on
from cropseg_geo.model.runtime import load_network
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from training.data import CERTAIN, UNKNOWN, default_data_root
from training.evaluation.sets import Sample, choice_sets
from training.excess_green import otsu_threshold
from training.threshold import Seen, look_at, scores

TILE_PX = 512
FIXED = 0.1


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


def otsu(image: Tensor) -> Tensor:
    """The bin of Otsu's threshold of one image's greenness."""
    green, brightness = excess_green(image)
    return bin_of(torch.tensor(otsu_threshold((green / brightness).numpy().astype(np.float64))))


def miou(seen: Seen, pixels: Tensor, chosen: Tensor) -> float:
    """Of all tiles together, in percent; ``pixels`` (N,) is how many each tile has."""
    right, wrong = (
        (from_bin_on(part).gather(1, chosen[:, None])[:, 0] * pixels).sum().item()
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
    threshold = load_network(find_model(options.model)).get_submodule("prior.threshold")
    ways = ("Otsu", "0.1", "learned", "best")
    print(f"{'mIoU of the index alone':32s}" + "".join(f"{way:>9s}" for way in ways))
    for test_set in choice_sets(default_data_root(), every=options.every):
        cut = [tile for read in test_set.readers for tile in tiles(read())]
        seen = Seen(*(torch.stack(parts) for parts in zip(*(look_at(*tile) for tile in cut), strict=True)))
        pixels = torch.tensor([target.numel() for _, target in cut], dtype=torch.float64)
        chosen = (
            torch.stack([otsu(image) for image, _ in cut]).long(),
            bin_of(torch.full((len(cut),), FIXED + 1e-6)).long(),
            (threshold.votes(seen.shares) * torch.arange(BINS)).sum(dim=1).round().long(),
            scores(seen, accuracy_share=0.5).argmax(dim=1),
        )
        cells = "".join(f"{miou(seen, pixels, choice):9.1f}" for choice in chosen)
        print(f"{test_set.name:32s}{cells}", flush=True)


if __name__ == "__main__":
    main()
