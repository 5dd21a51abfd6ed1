"""The depthcropseg network: built from a card's arguments, it learns; the paper's model is one preset."""

import pytest
import torch
from torch import nn

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card_fields import Argument
from cropseg_geo.model.networks import NETWORKS, build_network
from cropseg_geo.model.networks.fade import Fade
from cropseg_geo.model.networks.prior import ColourPrior
from cropseg_geo.model.presets import PRESETS, find_preset
from cropseg_geo.model.runtime import prepare

TINY = {"encoder": "test_vit2", "img_size": 64, "heads": 2, "value_ratio": 0.5, "width": 8}


def tiny(**changes):
    torch.manual_seed(0)
    return build_network("depthcropseg", classes=2, **{**TINY, **changes})


@pytest.mark.parametrize("upsampler", ["fade", "fade-lite", "bilinear"])
def test_logits_have_the_size_of_the_image(upsampler):
    with torch.no_grad():
        assert tiny(upsampler=upsampler).eval()(torch.rand(2, 3, 64, 96)).shape == (2, 2, 64, 96)


def test_a_colour_index_is_added_to_the_logits_where_it_is_asked_for():
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        plain, moved = (tiny(**index).eval()(images) for index in ({}, {"colour_prior": 4.0}))
    index = ColourPrior(4.0, 2)(images, torch.zeros_like(plain))
    torch.testing.assert_close(moved - plain, index, atol=1e-5, rtol=0)


def test_fade_is_at_every_upsampling_step():
    steps = tiny().decoder.upsamplers
    assert [type(step) for step in steps] == [Fade, Fade, Fade]


def test_a_few_steps_of_training_lower_the_loss_and_move_every_part():
    network = tiny(drop_path=0.1).train()
    before = {name: value.clone() for name, value in network.named_parameters()}
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(2, 3, 64, 64, generator=generator)
    truth = (images[:, 1] > images[:, 0]).long()
    losses = []
    for _ in range(6):
        loss = nn.functional.cross_entropy(network(images), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    parts = {
        "encoder.vit.blocks.0",
        "encoder.prior",
        "encoder.injectors.0.scale",
        "encoder.extractors.5",
        "decoder",
    }
    for part in parts:
        moved = [not torch.equal(v, before[n]) for n, v in network.named_parameters() if n.startswith(part)]
        assert any(moved), part


def test_preparing_it_for_evaluation_changes_no_result():
    network = tiny().train()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        for _ in range(3):
            network(images)  # gives the batch norms statistics
        network.eval()
        before = network(images)
        after = prepare(network)(images.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_built_at_full_size(name):
    preset = find_preset(name)
    assert preset.architecture in NETWORKS
    assert all(isinstance(value, Argument) for value in preset.network.values())
    with torch.device("meta"):
        network = build_network(preset.architecture, classes=2, **preset.network)
        logits = network.eval()(torch.empty(1, 3, 512, 512))
    assert logits.shape == (1, 2, 512, 512)


def test_the_papers_model_is_beit_large_with_fade():
    preset = find_preset("depthcropseg-pp-l")
    with torch.device("meta"):
        network = build_network(preset.architecture, classes=2, **preset.network)
    vit = network.encoder.vit
    assert (type(vit).__name__, vit.embed_dim, len(vit.blocks)) == ("Beit", 1024, 24)
    assert vit.blocks[0].attn.window_size == (32, 32)
    assert all(type(step) is Fade for step in network.decoder.upsamplers)
    assert sum(value.numel() for value in network.parameters()) == 329_288_848


def test_arguments_that_build_nothing_are_refused():
    for changes in ({"encoder": "test_resnet"}, {"heads": 3}, {"encoder": "test_vit4", "heads": 5}):
        with pytest.raises(ModelError, match="cannot be built"):
            tiny(**changes)
    with pytest.raises(ModelError, match=r"unknown preset 'xl'; this version has: depthcropseg-pp-b"):
        find_preset("xl")
