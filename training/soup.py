"""One set of weights from several runs that started from the same ones: their mean.

Runs that differ by their seed alone end in the same valley; the mean of their weights lies deeper in it than
most of them, and depends on no single seed. Source: M. Wortsman et al., "Model soups: averaging weights of
multiple fine-tuned models improves accuracy without increasing inference time" (2022), arXiv:2203.05482.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.start import load_average


def mean_weights(checkpoints: Sequence[Path]) -> dict[str, Tensor]:
    """The mean of the averaged weights of several checkpoints; what is no number comes from the first."""
    states = [load_average(checkpoint) for checkpoint in checkpoints]
    return {
        name: torch.stack([state[name] for state in states]).mean(dim=0)
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


def save_mean(checkpoints: Sequence[Path], target: Path) -> Path:
    """Write :func:`mean_weights` as a checkpoint that models are exported from; replaced in one step."""
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        part = Path(folder) / target.name
        torch.save({"average": mean_weights(checkpoints)}, part)
        part.replace(target)
    return target
