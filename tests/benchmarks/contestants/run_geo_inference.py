"""geo-inference with a TorchScript network: Hann windows, half of each tile overlapping.

python run_geo_inference.py NETWORK RASTER MASK
"""

import sys
from pathlib import Path

from geo_inference.geo_inference import GeoInference

network, raster, mask = sys.argv[1:]
folder = Path(mask).parent
job = GeoInference(model=network, work_dir=str(folder), device="cpu", num_classes=2)
print("started", flush=True)
name = job(inference_input=raster, bands_requested=["1", "2", "3"], patch_size=512)
(folder / name).rename(mask)
