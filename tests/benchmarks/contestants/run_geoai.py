"""geoai's ``predict_geotiff`` with its default blending.

python run_geoai.py NETWORK RASTER MASK
"""

import sys

import numpy as np
import torch
from geoai.inference import predict_geotiff

network, raster, mask = sys.argv[1:]
model = torch.jit.load(network)
print("started", flush=True)
predict_geotiff(
    model,
    raster,
    mask,
    tile_size=512,
    overlap=64,
    input_bands=[1, 2, 3],
    num_classes=2,
    output_dtype="uint8",
    output_nodata=255,
    preprocess_fn=lambda pixels: pixels,  # the network scales its input itself
    postprocess_fn=lambda scores: np.argmax(scores, axis=0),
    device="cpu",
    verbose=False,
)
