"""The training loop, top to bottom: data, network, then for each step rate → loss → step → average → log."""

from __future__ import annotations

import json
import time
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn

from cropseg_geo.paths import replace_file
from training.batches import Batch, batches_from
from training.curves import draw_curves
from training.data import CERTAIN, UNKNOWN, Pair, held_out
from training.devices import make_fabric, share_statistics, uses_gpu
from training.losses import segmentation_loss
from training.optimizer import make_optimizer, set_rate
from training.pool import load_pool
from training.recipe import Recipe
from training.runs import Places, describe_run, load_checkpoint, save_checkpoint
from training.start import CHECKPOINT, initial_network
from training.validate import validate

LOG = "log.jsonl"


def fit(
    recipe: Recipe,
    pairs: tuple[Pair, ...],
    places: Places,
    *,
    workers: int,
    device: str = "auto",
    devices: int = 1,
) -> Path:
    """Train a recipe, or go on where an interrupted run of it stopped.

    Parameters
    ----------
    recipe
        What to train.
    pairs
        The training pairs; never those of a test set. The last tenth of every group is held out.
    places
        Data root and run folder; the folder gets ``run.json``, ``data.csv``, ``log.jsonl``, ``curves.svg``
        and the checkpoint.
    workers
        Loader processes; 0 makes the crops in this one.
    device
        As Lightning Fabric names accelerators.
    devices
        How many of them; each takes its part of every batch, so that the same recipe sees the same crops.

    Returns
    -------
    Path
        The last checkpoint: step, weights, averaged weights, optimizer.

    Raises
    ------
    InputError
        If the data are not there, the batch cannot be shared out, or the run folder holds a run of another
        recipe, of other data, or from another model.
    """
    fabric = make_fabric(recipe, device, devices)
    pairs = tuple(pair for pair in pairs if recipe.shares.get(pair.dataset, 0) > 0)
    describe_run(recipe, pairs, places)
    if devices > 1:
        # Whatever cannot start is refused here, by one process and in words, and downloads come once.
        _start_of(recipe, places)
    fabric.launch(partial(_run, recipe=recipe, pairs=pairs, places=places, workers=workers))
    return places.run / CHECKPOINT


def _run(fabric: Fabric, recipe: Recipe, pairs: tuple[Pair, ...], places: Places, workers: int) -> None:
    """What each process of a run does: all of it alike, the first one writes."""
    taken, checked = held_out(pairs)
    network = _start_of(recipe, places)
    average = deepcopy(network).eval().to(fabric.device)
    if fabric.world_size > 1 and uses_gpu(fabric.device.type):
        network = share_statistics(network)
    optimizer = make_optimizer(network, recipe)
    network, optimizer = fabric.setup(network.to(memory_format=torch.channels_last), optimizer)

    state: dict[str, Any] = {"network": network, "optimizer": optimizer, "average": average, "step": 0}
    checkpoint = places.run / CHECKPOINT
    if checkpoint.is_file():
        load_checkpoint(fabric, checkpoint, state)
    first = state["step"]
    if first >= recipe.steps:
        return
    if fabric.is_global_zero:
        _forget_after(places.run, first)
    network.train()

    pool = load_pool(taken, shares=recipe.shares, doubt_px=dict.fromkeys(recipe.doubted, recipe.doubt_px))
    losses: list[float] = []
    started = time.perf_counter()
    with _progress(shown=fabric.is_global_zero) as progress:
        bar = progress.add_task(recipe.name, total=recipe.steps, completed=first)
        batches = batches_from(first, recipe, pool, workers=workers, fabric=fabric)
        for step, batch in enumerate(batches, start=first):
            set_rate(optimizer, recipe, step)
            _seed_step(recipe, step, fabric.global_rank)
            losses.append(_learn(fabric, network, average, optimizer, batch, recipe))
            _update_average(average, network, recipe, step)

            done = state["step"] = step + 1
            last = done == recipe.steps
            progress.update(bar, completed=done, description=f"{recipe.name} loss {losses[-1]:.3f}")
            if fabric.is_global_zero and (done % recipe.log_every == 0 or last):
                entry = {"step": done, "loss": round(sum(losses) / len(losses), 5)}
                if checked and (done % recipe.validate_every == 0 or last):
                    entry["miou"] = validate(average, checked, recipe, device=fabric.device)
                entry["seconds"] = round(time.perf_counter() - started, 1)
                _log(places.run, entry)
                losses.clear()
            if done % recipe.checkpoint_every == 0 or last:
                save_checkpoint(fabric, checkpoint, state)


def _progress(*, shown: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, disable=not shown)


def _learn(
    fabric: Fabric,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    recipe: Recipe,
) -> float:
    """One step of the optimizer on one batch; returns the loss before it."""
    target, known = _targets(average, batch, recipe, fabric.device)
    logits = network(_standardised(batch.strong, recipe, fabric.device))
    loss = segmentation_loss(
        logits.float(),
        target,
        known,
        dice_weight=recipe.dice_weight,
        label_smoothing=recipe.label_smoothing,
    )
    optimizer.zero_grad()
    fabric.backward(loss)
    fabric.clip_gradients(network, optimizer, max_norm=recipe.clip_norm)
    optimizer.step()
    return float(loss.item())


def _start_of(recipe: Recipe, places: Places) -> nn.Module:
    return initial_network(recipe, data=places.data, runs=places.run.parent, threshold=places.threshold)


def _standardised(images: Tensor, recipe: Recipe, device: torch.device) -> Tensor:
    """0–255 (N, 3, H, W) uint8 → what the network reads."""
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    values = images.to(device).float().div_(255.0).sub_(mean).div_(std)
    return values.contiguous(memory_format=torch.channels_last)


def _targets(average: nn.Module, batch: Batch, recipe: Recipe, device: torch.device) -> tuple[Tensor, Tensor]:
    """Probability of vegetation and what is known of it, both (N, H, W) float32.

    Where the target is a teacher's guess, the averaged network looks at the crop before the effects, and
    both opinions count half; what the teacher left unknown is known once the average is confident.
    """
    level = batch.target.to(device)
    target = level.float().div(CERTAIN)
    known = (level != UNKNOWN).float()
    if recipe.average_teaches and bool(batch.guess.any()):
        guessed = batch.guess.to(device)
        with torch.no_grad():
            opinion = average(_standardised(batch.weak[batch.guess], recipe, device)).softmax(1)[:, 1]
        sure = (torch.maximum(opinion, 1.0 - opinion) >= recipe.confidence).float()
        told = known[guessed]
        target[guessed] = torch.where(told > 0, 0.5 * (target[guessed] + opinion), opinion)
        known[guessed] = torch.maximum(told, sure)
    return target.clamp_(0.0, 1.0), known


def _seed_step(recipe: Recipe, step: int, rank: int) -> None:
    """Stochastic depth draws from (seed, step, device) alone: a run that goes on draws what it would have."""
    torch.manual_seed(int(np.random.SeedSequence((recipe.seed, step, rank)).generate_state(1)[0]))


@torch.no_grad()
def _update_average(average: nn.Module, network: nn.Module, recipe: Recipe, step: int) -> None:
    decay = min(recipe.ema_decay, (1.0 + step) / (10.0 + step))
    current = network.state_dict()
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            tensor.lerp_(current[name], 1.0 - decay)
        else:
            tensor.copy_(current[name])


def _forget_after(run: Path, step: int) -> None:
    """Take steps after the checkpoint's out of the log: they are done again."""
    log = run / LOG
    if not log.is_file():
        return
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
    # A run that was killed while writing leaves half a line.
    kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
    if kept != lines:
        replace_file(log, "".join(kept).encode())


def _log(run: Path, entry: dict[str, float]) -> None:
    with (run / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps(entry) + "\n")
    draw_curves(run / LOG, run / "curves.svg")
