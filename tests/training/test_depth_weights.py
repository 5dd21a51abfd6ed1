"""Published weights of Depth Anything V2: names, files, licences, and what is said when they do not fit."""

import logging
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from published_depth import to_published
from safetensors.torch import save_file

from cropseg_geo.errors import InputError, ModelError
from training.depth.network import DepthNet
from training.depth.sizes import SIZES, DepthSize, find_size
from training.depth.weights import from_published, load_depth, published_name

TINY = DepthSize("tiny", 16, 4, 2, 8, (4, 6, 8, 10), (0, 1, 2, 3), "Apache-2.0")


@pytest.fixture(scope="module")
def published():
    """A checkpoint of the published structure; (name → tensor)."""
    torch.manual_seed(0)
    return {name: torch.randn_like(t) for name, t in to_published(DepthNet(TINY)).items()}


@pytest.fixture
def pth(published, tmp_path):
    path = tmp_path / "tiny.pth"
    torch.save(published, path)
    return path


def saved(state, path: Path):
    torch.save(state, path)
    return path


def without(state, name):
    return {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("own", "published"),
    [
        ("encoder.blocks.3.ls1.gamma", "pretrained.blocks.3.ls1.gamma"),
        ("encoder.norm.weight", "pretrained.norm.weight"),
        ("head.projects.2.bias", "depth_head.projects.2.bias"),
        ("head.resizes.3.weight", "depth_head.resize_layers.3.weight"),
        ("head.narrow.1.weight", "depth_head.scratch.layer1_rn.weight"),
        ("head.fuse.4.mix.bias", "depth_head.scratch.refinenet4.out_conv.bias"),
        ("head.fuse.2.skip.conv1.weight", "depth_head.scratch.refinenet2.resConfUnit1.conv1.weight"),
        ("head.fuse.2.refine.conv2.weight", "depth_head.scratch.refinenet2.resConfUnit2.conv2.weight"),
        ("head.halve.weight", "depth_head.scratch.output_conv1.weight"),
        ("head.predict.2.bias", "depth_head.scratch.output_conv2.2.bias"),
    ],
)
def test_tensors_have_their_published_names(own, published):
    assert published_name(own) == published


@pytest.mark.parametrize("size", SIZES, ids=lambda size: size.name)
def test_the_names_are_one_to_one(size):
    with torch.device("meta"):
        net = DepthNet(size)
        state = to_published(net)
    assert len(state) == len(net.state_dict()) + 1  # the mask token
    assert all(name.startswith(("pretrained.", "depth_head.")) for name in state)
    back = from_published(state, net)
    assert {k: v.shape for k, v in back.items()} == {k: v.shape for k, v in net.state_dict().items()}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_gives_back_what_was_saved(published, tmp_path, suffix):
    path = tmp_path / f"tiny{suffix}"
    (torch.save if suffix == ".pth" else save_file)(published, path)
    found = to_published(load_depth(path, TINY))
    for name, tensor in without(published, "pretrained.mask_token").items():
        assert torch.equal(found[name], tensor), name


def test_a_loaded_network_is_ready_to_infer(pth):
    net = load_depth(pth, TINY)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    assert net(torch.zeros(1, 3, 28, 42)).shape == (1, 28, 42)


def test_small_is_the_default_and_loads_at_its_true_size(tmp_path):
    path = tmp_path / "small.safetensors"
    net = DepthNet(find_size("small"))
    save_file(to_published(net), path)
    image = torch.randn(1, 3, 28, 56, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(load_depth(path)(image), net.eval()(image))


def test_half_precision_is_computed_in_single(published, tmp_path):
    path = saved({name: t.half() for name, t in published.items()}, tmp_path / "half.pth")
    assert {p.dtype for p in load_depth(path, TINY).parameters()} == {torch.float32}


def test_a_file_without_the_mask_token_loads(published, tmp_path):
    load_depth(saved(without(published, "pretrained.mask_token"), tmp_path / "a.pth"), TINY)


def test_a_missing_tensor_is_named(published, tmp_path):
    name = "depth_head.scratch.refinenet2.out_conv.bias"
    path = saved(without(published, name), tmp_path / "a.pth")
    with pytest.raises(ModelError, match=f"lacks 1 of .* tensors .*'tiny': {name}"):
        load_depth(path, TINY)


def test_an_unknown_tensor_is_named(published, tmp_path):
    path = saved({**published, "pretrained.register_tokens": torch.zeros(1, 4, 16)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"has 1 tensors .* has not: pretrained\.register_tokens"):
        load_depth(path, TINY)


def test_a_wrong_shape_is_named_with_the_expected_one(published, tmp_path):
    path = saved({**published, "depth_head.projects.1.bias": torch.zeros(7)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"depth_head\.projects\.1\.bias is \(7,\), expected \(6,\)"):
        load_depth(path, TINY)


def test_weights_of_another_size_are_recognised():
    with torch.device("meta"):
        small, base = DepthNet(find_size("small")), to_published(DepthNet(find_size("base")))
    with pytest.raises(ModelError, match="looks like size 'base'"):
        from_published(base, small)


def test_a_conversion_to_another_library_is_recognised(tmp_path):
    path = saved({"backbone.embeddings.cls_token": torch.zeros(1, 1, 16)}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match=r"converted for another library.*\n?.*depth_anything_v2_vits\.pth"):
        load_depth(path, TINY)


def test_what_is_no_weights_file_is_refused(tmp_path):
    text, wrapped = tmp_path / "a.txt", saved({"model": {"x": torch.zeros(1)}}, tmp_path / "b.pth")
    for name in ("cut.pth", "cut.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not a whole file")
    with pytest.raises(ModelError, match=r"is no \.pth or \.safetensors file"):
        load_depth(text, TINY)
    with pytest.raises(ModelError, match="something else than tensors by name"):
        load_depth(wrapped, TINY)
    for name in ("cut.pth", "cut.safetensors", "absent.pth"):
        with pytest.raises(ModelError, match="cannot read the depth weights"):
            load_depth(tmp_path / name, TINY)


def test_a_pickle_that_would_run_code_is_refused(tmp_path):
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (ran.touch, ())

    (tmp_path / "trap.pth").write_bytes(pickle.dumps({"pretrained.norm.weight": Trap()}, protocol=2))
    with pytest.raises(ModelError, match="holds something else than tensors") as caught:
        load_depth(tmp_path / "trap.pth", TINY)
    assert not ran.exists()
    # torch's own message advises to load it all the same.
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("name", ["base", "large"])
def test_non_commercial_weights_are_refused_before_the_file_is_read(name, tmp_path):
    with pytest.raises(InputError, match=r"CC-BY-NC-4\.0.*no commercial use(.|\n)*'small' \(Apache-2\.0\)"):
        load_depth(tmp_path / "absent.pth", name)


def test_accepted_non_commercial_weights_load_with_a_notice(pth, caplog):
    size = replace(TINY, licence="CC-BY-NC-4.0")
    with caplog.at_level(logging.WARNING):
        load_depth(pth, size, accept_noncommercial=True)
    assert "no commercial use" in caplog.text


def test_free_weights_load_without_a_notice(pth, caplog):
    load_depth(pth, TINY)
    assert not caplog.records


def test_an_unknown_size_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match=r"'giant'(.|\n)*small, base, large"):
        load_depth(tmp_path / "a.pth", "giant")
