"""Labels without hands: vegetation masks from height, measured or seen by a depth network.

height and ground → threshold → clean → (refined with colour) → screened → looked at on a sheet → pairs.
"""

from training.labels.depth import depth_only

__all__ = ["depth_only"]
