"""The training loop, top to bottom: data, network, then for each step rate → loss → step → average → log."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.fusion import fuse_batch_norms
from training.augment import make_crop
from training.data import Pair, Pool, load_pool, manifest_digest
from training.losses import segmentation_loss
from training.recipe import Recipe

CHECKPOINT = "last.pt"
CLASSES = ("background", "crop")


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Crop number ``i`` is made from (seed, i) alone: any worker, any restart, the same crop."""

    def __init__(self, pool: Pool, recipe: Recipe) -> None:
        self.pool = pool
        self.recipe = recipe

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Image (3, crop, crop) uint8 and mask (crop, crop) uint8."""
        rng = np.random.default_rng((self.recipe.seed, index))
        image, mask = make_crop(self.pool, self.recipe.augmentation, rng)
        return torch.from_numpy(image.copy()).permute(2, 0, 1), torch.from_numpy(mask.copy())


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes."""

    data: Path
    run: Path


def fit(
    recipe: Recipe, pairs: tuple[Pair, ...], places: Places, *, workers: int, device: str = "auto"
) -> Path:
    """Train a recipe, or go on where an interrupted run of it stopped.

    Parameters
    ----------
    recipe
        What to train.
    pairs
        The training pairs; never those of a test set.
    places
        Data root and run folder; the folder gets ``run.json``, ``log.jsonl`` and the checkpoint.
    workers
        Loader processes; 0 makes the crops in this one.
    device
        As Lightning Fabric names accelerators.

    Returns
    -------
    Path
        The last checkpoint: step, weights, averaged weights, optimizer, recipe.

    Raises
    ------
    InputError
        If the data are not there, or the run folder holds a run of another recipe or other data.
    """
    fabric = Fabric(accelerator=device, devices=1)
    torch.manual_seed(recipe.seed)
    _describe_run(recipe, pairs, places)

    network = _initial_network(recipe, places.data)
    average = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    optimizer = _make_optimizer(network, recipe)
    network, optimizer = fabric.setup(network.to(memory_format=torch.channels_last), optimizer)
    average = {name: tensor.to(fabric.device) for name, tensor in average.items()}

    state: dict[str, Any] = {"network": network, "optimizer": optimizer, "average": average, "step": 0}
    checkpoint = places.run / CHECKPOINT
    if checkpoint.is_file():
        fabric.load(checkpoint, state)
    average = state["average"]
    first = state["step"]
    network.train()

    mean, std = (torch.tensor(v, device=fabric.device).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    pool = load_pool(pairs, shares=recipe.shares)
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )
    with progress, (places.run / "log.jsonl").open("a", encoding="utf-8") as log:
        bar = progress.add_task(recipe.name, total=recipe.steps, completed=first)
        losses: list[float] = []
        started = time.perf_counter()
        for step, (images, masks) in enumerate(_batches(recipe, pool, first, workers), start=first):
            _set_rate(optimizer, recipe, step)

            values = images.to(fabric.device).float().div_(255.0).sub_(mean).div_(std)
            logits = network(values.contiguous(memory_format=torch.channels_last))
            loss = segmentation_loss(
                logits,
                masks.to(fabric.device).long(),
                dice_weight=recipe.dice_weight,
                label_smoothing=recipe.label_smoothing,
            )
            optimizer.zero_grad()
            fabric.backward(loss)
            fabric.clip_gradients(network, optimizer, max_norm=recipe.clip_norm)
            optimizer.step()
            _update_average(average, network.state_dict(), recipe, step)

            losses.append(loss.item())
            done = state["step"] = step + 1
            progress.update(bar, completed=done, description=f"{recipe.name} loss {losses[-1]:.3f}")
            if done % recipe.log_every == 0 or done == recipe.steps:
                seconds = time.perf_counter() - started
                entry = {"step": done, "loss": sum(losses) / len(losses), "seconds": round(seconds, 1)}
                log.write(json.dumps(entry) + "\n")
                log.flush()
                losses.clear()
            if done % recipe.checkpoint_every == 0 or done == recipe.steps:
                _save(fabric, checkpoint, state)
    return checkpoint


def load_average(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint. Raises InputError if there is none."""
    if not checkpoint.is_file():
        raise InputError(f"no checkpoint {checkpoint}", remedy="train it with 'python -m training fit'")
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return dict(state["average"])


def _initial_network(recipe: Recipe, data: Path) -> nn.Module:
    network = build_network(recipe.architecture, classes=len(CLASSES), **recipe.network)
    path = data / recipe.initial_weights
    if not path.is_file():
        raise InputError(f"no initial weights {path}", remedy="give the folder that holds them with --data")
    # The file holds an encoder with its batch norms; load it as such, then fold them as the recipe says.
    start = build_network(
        recipe.architecture, classes=len(CLASSES), **{**recipe.network, "fold_norms": False}
    )
    stored = {name: tensor.float() for name, tensor in load_file(path).items()}
    missing, _ = start.encoder.load_state_dict(stored, strict=False)
    if missing:
        raise InputError(f"{path} lacks {len(missing)} tensors of the encoder, the first is {missing[0]}")
    encoder = fuse_batch_norms(start.encoder.eval()) if recipe.network.get("fold_norms") else start.encoder
    network.encoder.load_state_dict(encoder.state_dict())
    return network


def _make_optimizer(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    encoder = {id(parameter) for parameter in network.encoder.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        # Biases and norms are not decayed: shrinking them shifts activations and regularises nothing.
        groups.setdefault((id(parameter) in encoder, parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if decayed else 0.0,
                "scale": recipe.encoder_rate if in_encoder else 1.0,
            }
            for (in_encoder, decayed), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )


def _set_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    """Linear warm-up, then half a cosine down to a hundredth."""
    warmup = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    cosine = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / recipe.steps))
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["scale"] * warmup * cosine


@torch.no_grad()
def _update_average(
    average: dict[str, Tensor], current: Mapping[str, Tensor], recipe: Recipe, step: int
) -> None:
    decay = min(recipe.ema_decay, (1.0 + step) / (10.0 + step))
    for name, tensor in current.items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1.0 - decay)
        else:
            average[name].copy_(tensor)


def _batches(recipe: Recipe, pool: Pool, first: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches from step ``first`` on: step k holds crops k · batch to (k + 1) · batch − 1."""
    loader = DataLoader(
        Crops(pool, recipe),
        batch_size=recipe.batch,
        sampler=range(first * recipe.batch, recipe.steps * recipe.batch),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def _save(fabric: Fabric, checkpoint: Path, state: dict[str, Any]) -> None:
    """Beside, then renamed: a run that is killed while writing resumes from the checkpoint before."""
    part = checkpoint.with_suffix(".part")
    fabric.save(part, state)
    part.replace(checkpoint)


def _describe_run(recipe: Recipe, pairs: tuple[Pair, ...], places: Places) -> None:
    """``run.json``: what is trained on what, with which versions. Refuses a folder of another run."""
    places.run.mkdir(parents=True, exist_ok=True)
    path = places.run / "run.json"
    identity = {"recipe": json.loads(recipe.to_json()), "data": manifest_digest(pairs), "pairs": len(pairs)}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in identity} != identity:
            raise InputError(
                f"{places.run} holds a run of another recipe or of other data",
                remedy="give another folder with --run, or delete this one",
            )
        return
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
    }
    document = {**identity, "versions": versions}
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
