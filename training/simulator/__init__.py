"""Training scenes from a simulator: any crop, soil, camera height and light, with exact masks and heights."""

from training.simulator.corpus import write_corpus
from training.simulator.fields import FIELDS, make_field
from training.simulator.scenes import KINDS, Scene, make_scene
from training.simulator.sheet import write_sheet

__all__ = ["FIELDS", "KINDS", "Scene", "make_field", "make_scene", "write_corpus", "write_sheet"]
