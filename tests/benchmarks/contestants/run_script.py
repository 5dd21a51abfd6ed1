"""The script that one writes first: windows of 512 px, stride 448, sums for the whole raster, then two files.

python run_script.py NETWORK RASTER MASK
"""

import sys

import numpy as np
import rasterio
import torch

TILE, STRIDE = 512, 448


def starts(length: int) -> list[int]:
    return sorted({min(start, max(0, length - TILE)) for start in range(0, length, STRIDE)})


network_path, raster_path, mask_path = sys.argv[1:]
network = torch.jit.load(network_path).eval()
print("started", flush=True)
with rasterio.open(raster_path) as raster, torch.inference_mode():
    total = np.zeros((raster.height, raster.width), np.float32)
    weight = np.zeros((raster.height, raster.width), np.float32)
    for row in starts(raster.height):
        for col in starts(raster.width):
            window = rasterio.windows.Window(col, row, TILE, TILE)
            pixels = torch.from_numpy(raster.read((1, 2, 3), window=window))
            crop = network(pixels[None])[0, 1].numpy()
            total[row : row + TILE, col : col + TILE] += crop
            weight[row : row + TILE, col : col + TILE] += 1
    total /= weight
    valid = raster.read(4) > 0
    profile = raster.profile | {"count": 1, "nodata": 255, "compress": "deflate"}
    profile.pop("photometric", None)
    with rasterio.open(mask_path, "w", **profile) as mask:
        mask.write(np.where(valid, total >= 0.5, 255).astype(np.uint8), 1)
    with rasterio.open(mask_path.replace("mask", "prob"), "w", **profile) as prob:
        prob.write(np.where(valid, np.rint(total * 254), 255).astype(np.uint8), 1)
