"""Where training starts: every kind of start fills what it promises, and refuses what does not fit."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.threshold import LearnedThreshold
from training.export import export
from training.recipe import CANOPY_S
from training.start import CHECKPOINT, initial_network

SMALL = {"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "fold_norms": True}
RECIPE = replace(CANOPY_S, name="tiny", network=SMALL, initial_weights="", threshold="", finish={})
WIDER = replace(RECIPE, network={**SMALL, "width": 12})


@pytest.fixture
def runs(tmp_path):
    """A folder with the run "first", whose weights are all alike."""
    network = build_network("canopy", classes=2, **SMALL)
    average = {name: torch.full_like(tensor, 0.25) for name, tensor in network.state_dict().items()}
    (tmp_path / "first").mkdir()
    torch.save({"average": average}, tmp_path / "first" / CHECKPOINT)
    return tmp_path


def test_random_weights_follow_the_seed(tmp_path):
    first, second, other = (
        initial_network(replace(RECIPE, seed=seed), data=tmp_path, runs=tmp_path).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_a_run_gives_all_its_weights(runs):
    network = initial_network(replace(RECIPE, initial_weights="run:first"), data=runs, runs=runs)
    assert all(torch.all(p == 0.25) for p in network.parameters())


def test_an_encoder_fits_a_wider_network_and_a_whole_run_does_not(runs):
    network = initial_network(replace(WIDER, initial_weights="encoder:first"), data=runs, runs=runs)
    assert all(torch.all(p == 0.25) for p in network.get_submodule("encoder").parameters())
    assert not all(torch.all(p == 0.25) for p in network.get_submodule("decoder").parameters())
    with pytest.raises(InputError, match="another network"):
        initial_network(replace(WIDER, initial_weights="run:first"), data=runs, runs=runs)


def test_a_finished_model_gives_all_its_weights(runs):
    model = runs / "finished.safetensors"
    export(RECIPE, runs / "first" / CHECKPOINT, model)
    network = initial_network(replace(RECIPE, initial_weights=f"model:{model}"), data=runs, runs=runs)
    assert all(torch.all(p == 0.25) for p in network.parameters())


def test_a_learned_threshold_comes_on_top_of_any_start_and_is_not_trained(tmp_path):
    recipe = replace(RECIPE, network={**SMALL, "colour_prior": 5.0})
    learned = {name: torch.full_like(p, 0.5) for name, p in LearnedThreshold().named_parameters()}
    save_file(learned, tmp_path / "threshold.safetensors")
    plain = initial_network(recipe, data=tmp_path, runs=tmp_path)
    network = initial_network(
        recipe, data=tmp_path, runs=tmp_path, threshold=tmp_path / "threshold.safetensors"
    )
    found = dict(network.get_submodule("prior.threshold").named_parameters())
    assert all(torch.all(p == 0.5) and not p.requires_grad for p in found.values())
    elsewhere = {name: p for name, p in network.named_parameters() if "threshold" not in name}
    assert all(torch.equal(p, plain.get_parameter(name)) for name, p in elsewhere.items())
    save_file({"score.bias": torch.zeros(1)}, tmp_path / "part.safetensors")
    with pytest.raises(InputError, match="another network"):
        initial_network(recipe, data=tmp_path, runs=tmp_path, threshold=tmp_path / "part.safetensors")


def test_an_encoder_file_that_lacks_weights_is_refused(tmp_path):
    save_file({"conv_stem.weight": torch.zeros(16, 3, 3, 3)}, tmp_path / "part.safetensors")
    recipe = replace(RECIPE, initial_weights="part.safetensors")
    with pytest.raises(InputError, match="lacks"):
        initial_network(recipe, data=tmp_path, runs=tmp_path)
    with pytest.raises(InputError, match="no initial weights"):
        initial_network(replace(RECIPE, initial_weights="none.pth"), data=tmp_path, runs=tmp_path)
    with pytest.raises(InputError, match="no checkpoint"):
        initial_network(replace(RECIPE, initial_weights="run:none"), data=tmp_path, runs=tmp_path)
