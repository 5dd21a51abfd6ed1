"""Depth Anything V2's network against a slow forward pass written from its description, in float64."""

import math

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional as F

from cropseg_geo.errors import InputError, ModelError
from training.depth.network import DepthNet, resize_positions
from training.depth.sizes import SIZES, DepthSize, find_size
from training.depth.weights import from_published

TINY = DepthSize("tiny", 24, 5, 2, 8, (4, 6, 8, 10), (0, 1, 3, 4), "Apache-2.0")


def published_shapes(size):
    """Name → shape of every tensor that the publication holds, listed from its description."""
    d, f, c = size.dim, size.features, size.channels
    shapes = {
        "pretrained.cls_token": (1, 1, d),
        "pretrained.pos_embed": (1, 1 + 37 * 37, d),
        "pretrained.mask_token": (1, d),
        "pretrained.patch_embed.proj.weight": (d, 3, 14, 14),
        "pretrained.patch_embed.proj.bias": (d,),
    }

    def add(name, weight, *, bias=True):
        shapes[f"{name}.weight"] = weight
        if bias:
            shapes[f"{name}.bias"] = (weight[0],)

    for i in range(size.depth):
        block = f"pretrained.blocks.{i}"
        add(f"{block}.norm1", (d,))
        add(f"{block}.attn.qkv", (3 * d, d))
        add(f"{block}.attn.proj", (d, d))
        add(f"{block}.norm2", (d,))
        add(f"{block}.mlp.fc1", (4 * d, d))
        add(f"{block}.mlp.fc2", (d, 4 * d))
        shapes[f"{block}.ls1.gamma"] = shapes[f"{block}.ls2.gamma"] = (d,)
    add("pretrained.norm", (d,))
    for i in range(4):
        add(f"depth_head.projects.{i}", (c[i], d, 1, 1))
        add(f"depth_head.scratch.layer{i + 1}_rn", (f, c[i], 3, 3), bias=False)
        refine = f"depth_head.scratch.refinenet{i + 1}"
        add(f"{refine}.out_conv", (f, f, 1, 1))
        for unit in (1, 2):
            for conv in (1, 2):
                add(f"{refine}.resConfUnit{unit}.conv{conv}", (f, f, 3, 3))
    add("depth_head.resize_layers.0", (c[0], c[0], 4, 4))
    add("depth_head.resize_layers.1", (c[1], c[1], 2, 2))
    add("depth_head.resize_layers.3", (c[3], c[3], 3, 3))
    add("depth_head.scratch.output_conv1", (f // 2, f, 3, 3))
    add("depth_head.scratch.output_conv2.0", (32, f // 2, 3, 3))
    add("depth_head.scratch.output_conv2.2", (1, 32, 1, 1))
    return shapes


def random_checkpoint(size, seed=0):
    """Published names; values that leave most depths positive and every tensor its effect."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in published_shapes(size).items():
        is_layer = len(shape) in (2, 4) and "token" not in name
        values = rng.normal(size=shape) * (1.2 / math.sqrt(math.prod(shape[1:])) if is_layer else 0.5)
        if "norm" in name and name.endswith("weight"):
            values += 1.0
        state[name] = torch.from_numpy(values.astype(np.float32))
    state["depth_head.scratch.output_conv2.2.bias"] += 3.0
    return state


def keys_kernel(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def cubic_matrix(source, target, scale):
    """(target, source): each row the weights of one sample at (i + 1/2) / scale − 1/2, edges repeated."""
    matrix = np.zeros((target, source))
    for i in range(target):
        at = (i + 0.5) / scale - 0.5
        first = math.floor(at) - 1
        for j in range(first, first + 4):
            matrix[i, min(max(j, 0), source - 1)] += keys_kernel(at - j)
    return matrix


def reference_positions(embedding, rows, cols):
    grid = embedding[0, 1:].numpy().reshape(37, 37, -1)
    if (rows, cols) != (37, 37):
        down = cubic_matrix(37, rows, (rows + 0.1) / 37)
        across = cubic_matrix(37, cols, (cols + 0.1) / 37)
        grid = np.einsum("ri,cj,ijd->rcd", down, across, grid)
    return torch.cat([embedding[0, :1], torch.from_numpy(grid.reshape(rows * cols, -1))])


def reference_taps(state, size, image):
    """Maps (dim, rows, cols) of one image (3, H, W)."""

    def w(name):
        return state[f"pretrained.{name}"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt(centred.pow(2).mean(-1, keepdim=True) + 1e-6)
        return scaled * w(f"{name}.weight") + w(f"{name}.bias")

    def linear(x, name):
        return x @ w(f"{name}.weight").T + w(f"{name}.bias")

    rows, cols = image.shape[1] // 14, image.shape[2] // 14
    patches = image.reshape(3, rows, 14, cols, 14).permute(1, 3, 0, 2, 4).reshape(rows * cols, -1)
    kernel = w("patch_embed.proj.weight").reshape(size.dim, -1)
    x = torch.cat([w("cls_token")[0], patches @ kernel.T + w("patch_embed.proj.bias")])
    x = x + reference_positions(w("pos_embed"), rows, cols)
    width, maps = size.dim // size.heads, []
    for i in range(size.depth):
        q, k, v = linear(norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv").split(size.dim, dim=1)
        heads = []
        for h in range(size.heads):
            part = slice(h * width, (h + 1) * width)
            scores = q[:, part] @ k[:, part].T / math.sqrt(width)
            heads.append(scores.softmax(dim=1) @ v[:, part])
        x = x + w(f"blocks.{i}.ls1.gamma") * linear(torch.cat(heads, dim=1), f"blocks.{i}.attn.proj")
        hidden = linear(norm(x, f"blocks.{i}.norm2"), f"blocks.{i}.mlp.fc1")
        hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
        x = x + w(f"blocks.{i}.ls2.gamma") * linear(hidden, f"blocks.{i}.mlp.fc2")
        if i in size.taps:
            maps.append(norm(x, "norm")[1:].T.reshape(size.dim, rows, cols))
    return maps


def reference_depth(state, size, image):
    """Depth (H, W) of one image (3, H, W)."""

    def conv(x, name, **options):
        name = f"depth_head.{name}"
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **options)

    def enlarge(x, shape):
        return F.interpolate(x, tuple(shape), mode="bilinear", align_corners=True)

    def unit(x, name):
        return x + conv(conv(x.relu(), f"{name}.conv1", padding=1).relu(), f"{name}.conv2", padding=1)

    def resized(x, i):
        if i == 2:
            return x
        name = f"depth_head.resize_layers.{i}"
        if i == 3:
            return conv(x, "resize_layers.3", stride=2, padding=1)
        stride = (4, 2)[i]
        return F.conv_transpose2d(x, state[f"{name}.weight"], state[f"{name}.bias"], stride=stride)

    maps = [tap[None] for tap in reference_taps(state, size, image)]
    l1, l2, l3, l4 = (
        conv(resized(conv(tap, f"projects.{i}"), i), f"scratch.layer{i + 1}_rn", padding=1)
        for i, tap in enumerate(maps)
    )
    net = "scratch.refinenet"
    path = conv(enlarge(unit(l4, f"{net}4.resConfUnit2"), l3.shape[2:]), f"{net}4.out_conv")
    for number, level, finer in ((3, l3, l2), (2, l2, l1), (1, l1, None)):
        shape = finer.shape[2:] if finer is not None else [2 * side for side in l1.shape[2:]]
        path = path + unit(level, f"{net}{number}.resConfUnit1")
        path = conv(enlarge(unit(path, f"{net}{number}.resConfUnit2"), shape), f"{net}{number}.out_conv")
    path = enlarge(conv(path, "scratch.output_conv1", padding=1), image.shape[1:])
    hidden = conv(path, "scratch.output_conv2.0", padding=1).relu()
    return conv(hidden, "scratch.output_conv2.2").relu()[0, 0]


@pytest.fixture(scope="module")
def checkpoint():
    return random_checkpoint(TINY)


@pytest.fixture(scope="module")
def network(checkpoint):
    net = DepthNet(TINY)
    net.load_state_dict(from_published(checkpoint, net))
    return net.eval().double().requires_grad_(requires_grad=False)


@pytest.fixture(scope="module")
def exact(checkpoint):
    return {name: tensor.double() for name, tensor in checkpoint.items()}


def picture(rows, cols, seed=1):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(3, 14 * rows, 14 * cols)))


@pytest.mark.parametrize(("name", "millions"), [("small", 24.8), ("base", 97.5), ("large", 335.3)])
def test_each_size_has_the_published_number_of_parameters(name, millions):
    with torch.device("meta"):
        net = DepthNet(find_size(name))
    assert round(sum(parameter.numel() for parameter in net.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_the_encoder_is_timm_s_dinov2(size):
    with torch.device("meta"):
        ours = DepthNet(size).encoder.state_dict()
        theirs = timm.create_model(f"vit_{size.name}_patch14_dinov2", num_classes=0).state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@pytest.mark.parametrize("grid", [(5, 7), (7, 4), (3, 3)])
def test_depth_is_the_described_one(network, exact, grid):
    image = picture(*grid)
    found, expected = network(image[None])[0], reference_depth(exact, TINY, image)
    assert found.shape == image.shape[1:]
    # The last ReLU must not make this a comparison of zeros.
    assert (expected > 0).double().mean() > 0.5
    assert expected.std() > 0.01 * expected.mean()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_every_published_tensor_that_has_a_use_matters(network):
    image = picture(3, 4)[None]
    before = network(image)
    for name in network.state_dict():
        changed = {name: network.state_dict()[name] * 1.5 + 0.1}
        differs = not torch.equal(torch.func.functional_call(network, changed, (image,)), before)
        # The coarsest stage has nothing to add its map to: published, never used.
        assert differs == (not name.startswith("head.fuse.4.skip.")), name


def test_at_the_trained_size_positions_are_taken_as_they_are(network, exact):
    image = picture(37, 37)
    for found, expected in zip(network.taps(image[None]), reference_taps(exact, TINY, image), strict=True):
        torch.testing.assert_close(found[0], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("rows", "cols"), [(37, 49), (49, 37), (10, 66), (36, 38), (1, 296)])
def test_positions_are_sampled_at_dinov2_s_scale(rows, cols):
    rng = np.random.default_rng(3)
    embedding = torch.from_numpy(rng.normal(size=(1, 1 + 37 * 37, 2)))
    found = resize_positions(embedding, rows, cols)
    torch.testing.assert_close(found[0], reference_positions(embedding, rows, cols))
    by_scale = F.interpolate(
        embedding[:, 1:].reshape(1, 37, 37, 2).permute(0, 3, 1, 2),
        scale_factor=((rows + 0.1) / 37, (cols + 0.1) / 37),
        mode="bicubic",
    )
    torch.testing.assert_close(found[:, 1:], by_scale.permute(0, 2, 3, 1).reshape(1, rows * cols, 2))


def test_positions_resized_timm_s_way_would_be_others():
    embedding = torch.from_numpy(np.random.default_rng(4).normal(size=(1, 1 + 37 * 37, 2)))
    theirs = timm.layers.resample_abs_pos_embed(embedding, new_size=(37, 49))
    assert (resize_positions(embedding, 37, 49) - theirs).abs().max() > 0.01


def test_every_grid_up_to_the_longest_picture_gets_its_positions():
    embedding = torch.zeros(1, 1 + 37 * 37, 1)
    for length in range(1, 297):
        assert resize_positions(embedding, 1, length).shape == (1, 1 + length, 1)


def test_depth_of_a_picture_does_not_depend_on_its_batch(network):
    one, other = picture(4, 5, seed=5), picture(4, 5, seed=6)
    together = network(torch.stack([one, other]))
    torch.testing.assert_close(together[0], network(one[None])[0])
    torch.testing.assert_close(together[1], network(other[None])[0])


def test_sides_that_are_no_multiple_of_a_patch_are_refused(network):
    with pytest.raises(InputError, match="multiples of 14"):
        network(torch.zeros(1, 3, 56, 60, dtype=torch.float64))


def test_taps_outside_the_encoder_are_refused():
    with pytest.raises(ModelError, match="four ascending blocks of 0–4"):
        DepthSize("bad", 24, 5, 2, 8, (4, 6, 8, 10), (0, 1, 3, 5), "Apache-2.0")


def test_the_network_exports_to_a_graph_that_computes_the_same(network):
    image = picture(4, 6)[None]
    exported = torch.export.export(network, (image,))
    torch.testing.assert_close(exported.module()(image), network(image))
