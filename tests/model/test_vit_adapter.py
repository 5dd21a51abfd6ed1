"""ViT-Adapter: its size is the published one, the ViT in it is timm's, and every part takes part."""

from functools import partial

import pytest
import torch
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from cropseg_geo.errors import InferenceError
from cropseg_geo.model.networks.deformable import DeformableAttention
from cropseg_geo.model.networks.vit import build_vit, embed, layer_indices, run_blocks, strip_vit
from cropseg_geo.model.networks.vit_adapter import ConvFeedForward, VitAdapter

SMALL = {"img_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 4, "num_heads": 2, "num_classes": 0}

PLAIN = partial(VisionTransformer, **SMALL, init_values=0.1)
FAMILIES = {
    "class token": PLAIN,
    "no class token": partial(PLAIN, class_token=False, global_pool="avg"),
    "registers": partial(PLAIN, reg_tokens=3, no_embed_class=True),
    "norm before": partial(PLAIN, pre_norm=True),
    "beit": partial(Beit, **SMALL, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1),
    "beit, absolute too": partial(Beit, **SMALL, use_rel_pos_bias=True),
}


def make_vit(family="class token"):
    torch.manual_seed(0)
    vit = FAMILIES[family]()
    for name, parameter in vit.named_parameters():
        if "relative_position" in name or name.endswith("token"):
            nn.init.normal_(parameter)
    return vit.eval()


def make_adapter(family="class token", **changes):
    vit = strip_vit(make_vit(family))
    return VitAdapter(vit, **{"heads": 2, "value_ratio": 0.5, **changes})


def images(rows=64, cols=64, count=2):
    return torch.randn(count, 3, rows, cols, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_after_all_blocks_are_those_of_timm(family):
    whole = make_vit(family)
    vit = strip_vit(make_vit(family))
    with torch.no_grad():
        tokens, grid = embed(vit, images())
        tokens = run_blocks(vit, run_blocks(vit, tokens, first=0, stop=1), first=1, stop=4)
        torch.testing.assert_close(whole.norm(tokens), whole.forward_features(images()))
    assert grid == (4, 4)


def test_positions_are_resized_for_other_sizes_as_timm_does():
    torch.manual_seed(0)
    whole = VisionTransformer(**SMALL, dynamic_img_size=True).eval()
    torch.manual_seed(0)
    vit = strip_vit(VisionTransformer(**SMALL).eval())
    with torch.no_grad():
        tokens, grid = embed(vit, images(32, 96))
        result = whole.norm(run_blocks(vit, tokens, first=0, stop=4))
        torch.testing.assert_close(result, whole.forward_features(images(32, 96)))
    assert grid == (2, 6)


@pytest.mark.parametrize("family", FAMILIES)
def test_four_maps_from_a_quarter_to_a_thirty_second(family):
    with torch.no_grad():
        maps = make_adapter(family).eval()(images())
    assert [tuple(level.shape) for level in maps] == [(2, 32, side, side) for side in (16, 8, 4, 2)]


def test_images_of_any_shape_in_multiples_of_32_are_taken():
    with torch.no_grad():
        maps = make_adapter().eval()(images(32, 96))
    assert [level.shape[-2:] for level in maps] == [(8, 24), (4, 12), (2, 6), (1, 3)]


@pytest.mark.parametrize(
    ("family", "size", "expected"),
    [
        ("class token", (48, 64), "48×64 px; expected multiples of 32"),
        ("beit", (96, 64), "96×64 px; expected 64×64"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(family, size, expected):
    with pytest.raises(InferenceError, match=expected):
        make_adapter(family).eval()(images(*size))


def test_at_the_start_the_adapter_leaves_the_vit_as_it_was():
    adapter = make_adapter().eval()
    seen = []
    adapter.vit.blocks[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        adapter(images())
        torch.testing.assert_close(
            adapter.vit.norm(seen[0]), strip_vit(make_vit()).forward_features(images())
        )
        nn.init.ones_(adapter.injectors[0].scale)
        adapter(images())
    assert not torch.allclose(seen[0], seen[1])


def test_the_vits_maps_go_to_the_scales_in_the_order_in_which_it_makes_them():
    """Map k is the adapter's own and the ViT's after interaction k, resized from 1/16 and normed."""
    adapter = make_adapter().eval()
    seen, own = [], []
    for block in adapter.vit.blocks:
        block.register_forward_hook(lambda module, inputs, output: seen.append(output[:, 1:]))
    for part in (adapter.prior, adapter.extractors[-1], adapter.finest):
        part.register_forward_hook(lambda module, inputs, output: own.append(output))
    with torch.no_grad():
        maps = adapter(images())
        (stem, _), tokens, finest = own
        coarse = [
            part.mT.unflatten(-1, (-1, int(part.shape[1] ** 0.5))) for part in tokens.split((64, 16, 4), 1)
        ]
        for k, plain in enumerate([stem + finest, *coarse]):
            side = plain.shape[-1]
            vits = F.interpolate(seen[k].mT.reshape(2, 32, 4, 4), (side, side), mode="bilinear")
            torch.testing.assert_close(maps[k], adapter.norms[k](plain + vits))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_parameter_takes_part(family):
    adapter = make_adapter(family).train()
    # At the start γ = 0 hides the injectors' insides, and zero weights hide what the queries say.
    for injector in adapter.injectors:
        nn.init.normal_(injector.scale)
    for part in adapter.modules():
        if isinstance(part, DeformableAttention):
            nn.init.normal_(part.offsets.weight)
            nn.init.normal_(part.weights.weight)
    sum(level.square().mul(torch.rand_like(level)).sum() for level in adapter(images())).backward()
    idle = [name for name, value in adapter.named_parameters() if value.grad is None or not value.grad.any()]
    assert idle == []


def test_the_feed_forward_part_keeps_the_grids_apart():
    feed = ConvFeedForward(16)
    c = torch.randn(1, 16 + 4 + 1, 16)
    changed = c.clone()
    changed[:, 16:20] += 1.0
    with torch.no_grad():
        difference = (
            (feed(changed, [(4, 4), (2, 2), (1, 1)]) - feed(c, [(4, 4), (2, 2), (1, 1)])).abs().sum(-1)
        )
    assert difference[0, 16:20].min() > 0
    assert not difference[0, :16].any()
    assert not difference[0, 20:].any()


def test_convolutions_start_at_the_size_that_keeps_variance():
    """Normal with variance 2 / (9 · outputs / groups): of the depthwise one 2 / 9, whatever its width."""
    adapter = make_adapter()
    torch.manual_seed(0)
    depthwise = ConvFeedForward(512).depthwise
    assert depthwise.weight.std().item() == pytest.approx((2 / 9) ** 0.5, rel=0.1)
    stem = adapter.prior.stem[3]
    assert stem.weight.std().item() == pytest.approx((2 / (9 * stem.out_channels)) ** 0.5, rel=0.05)
    assert adapter.finest.weight.std().item() == pytest.approx((2 / (4 * 32)) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("vit", "heads", "value_ratio", "adapter_parameters"),
    [
        ("vit_small_patch14_dinov2", 6, 1.0, 5_830_160),
        ("vit_base_patch14_dinov2", 12, 0.5, 13_680_608),
        ("beitv2_large_patch16_224", 16, 0.5, 23_236_800),
    ],
)
def test_the_adapter_has_the_published_size(vit, heads, value_ratio, adapter_parameters):
    """5.83, 13.68 and 23.24 million: all that is not in the ViT, without the buffers of the norms."""
    with torch.device("meta"):
        trunk = build_vit(vit, img_size=512)
        adapter = VitAdapter(trunk, heads=heads, value_ratio=value_ratio)
    own = {name: value for name, value in adapter.named_parameters() if not name.startswith("vit.")}
    assert sum(value.numel() for value in own.values()) == adapter_parameters


def test_dinov2_is_built_with_patches_of_16_px():
    with torch.device("meta"):
        vit = build_vit("vit_small_patch14_dinov2", img_size=512, drop_path=0.2)
    assert vit.patch_embed.proj.weight.shape == (384, 3, 16, 16)
    assert vit.pos_embed.shape == (1, 1 + 32 * 32, 384)
    assert vit.blocks[-1].drop_path1.drop_prob == pytest.approx(0.2)


def test_layers_are_counted_from_the_embedding_to_what_is_new():
    network = nn.ModuleDict({"encoder": make_adapter(), "classifier": nn.Conv2d(32, 2, 1)})
    indices = layer_indices(network)
    assert indices.keys() == dict(network.named_parameters()).keys()
    assert indices["encoder.vit.patch_embed.proj.weight"] == 0
    assert indices["encoder.vit.pos_embed"] == indices["encoder.vit.cls_token"] == 0
    assert indices["encoder.vit.blocks.0.norm1.weight"] == 1
    assert indices["encoder.vit.blocks.3.mlp.fc2.bias"] == 4
    assert indices["encoder.injectors.0.scale"] == indices["classifier.weight"] == 5
    assert set(layer_indices(nn.Conv2d(3, 2, 1)).values()) == {0}


def test_what_is_no_plain_vit_is_refused():
    with pytest.raises(TypeError, match="ResNet is no plain ViT"):
        build_vit_from("test_resnet")
    with pytest.raises(TypeError, match="3 blocks cannot be cut into 4"):
        VitAdapter(strip_vit(VisionTransformer(**{**SMALL, "depth": 3})), heads=2)


def build_vit_from(name):
    import timm

    return strip_vit(timm.create_model(name, pretrained=False))
