"""Pretrained encoders: a file in timm's names gives timm's features, whatever it is wrapped in."""

from functools import partial

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer
from torch import nn
from torch.nn import functional as F

from cropseg_geo.errors import ModelError
from cropseg_geo.model.networks.vit import embed, run_blocks, strip_vit
from training.backbones import load_backbone, read_checkpoint

SMALL = {"img_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5}
PLAIN = partial(VisionTransformer, **SMALL, init_values=0.1)
FAMILIES = {
    "vit": PLAIN,
    "registers": partial(PLAIN, reg_tokens=2, no_embed_class=True),
    "beit": partial(Beit, **SMALL, use_abs_pos_emb=False, use_rel_pos_bias=True, init_values=0.1),
}


def pretrained(family="vit", **changes):
    """A whole timm model whose every parameter is its own."""
    torch.manual_seed(7)
    model = FAMILIES[family](**changes)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


def empty(family="vit", **changes):
    torch.manual_seed(8)
    return strip_vit(FAMILIES[family](**{"num_classes": 0, **changes}).eval())


def features(vit, images):
    tokens, _ = embed(vit, images)
    return run_blocks(vit, tokens, first=0, stop=2)


IMAGES = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))


def wrap(state, kind, folder):
    if kind == "safetensors":
        path = folder / "vit.safetensors"
        save_file(state, path)
        return path
    path = folder / ("pytorch_model.bin" if kind == "plain" else "vit.pth")
    prefixed = {f"module.backbone.{name}": value for name, value in state.items()}
    document = {
        "plain": state,
        "model": {"model": state, "epoch": 3},
        "state_dict": {"state_dict": {"model": state}},
        "prefix": {**prefixed, "decoder.weight": torch.zeros(3)},
    }[kind]
    torch.save(document, path)
    return path


@pytest.mark.parametrize("kind", ["safetensors", "plain", "model", "state_dict", "prefix"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loaded_encoder_gives_timms_features(family, kind, tmp_path):
    whole, vit = pretrained(family), empty(family)
    load_backbone(vit, wrap(whole.state_dict(), kind, tmp_path))
    with torch.no_grad():
        tokens = whole.norm(features(vit, IMAGES))
        torch.testing.assert_close(tokens, whole.forward_features(IMAGES))


def test_what_only_pretraining_needs_is_left_out(tmp_path):
    state = {**pretrained().state_dict(), "mask_token": torch.zeros(1, 32)}
    load_backbone(empty(), wrap(state, "plain", tmp_path))


def test_patches_of_14_px_become_16_by_bilinear_resize(tmp_path):
    whole = pretrained(img_size=56, patch_size=14)
    vit = empty()
    load_backbone(vit, wrap(whole.state_dict(), "plain", tmp_path))
    expected = F.interpolate(
        whole.patch_embed.proj.weight, size=(16, 16), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(vit.patch_embed.proj.weight, expected)
    torch.testing.assert_close(vit.pos_embed, whole.pos_embed)


def test_positions_are_resized_and_that_of_the_class_token_is_kept(tmp_path):
    whole, vit = pretrained(img_size=96), empty()
    ramp = torch.linspace(-1, 1, 6)[:, None].expand(6, 6).reshape(1, 36, 1)  # grows from row to row
    with torch.no_grad():
        whole.pos_embed[:, 1:] = ramp
    load_backbone(vit, wrap(whole.state_dict(), "plain", tmp_path))
    assert vit.pos_embed.shape == (1, 1 + 4 * 4, 32)
    torch.testing.assert_close(vit.pos_embed[:, 0], whole.pos_embed[:, 0])
    rows = vit.pos_embed[0, 1:, 0].view(4, 4)
    assert (rows.diff(dim=0) > 0).all()
    torch.testing.assert_close(rows, rows[:, :1].expand(4, 4))


# timm's interpolation of the tables indexes with lists and takes views that are not contiguous.
@pytest.mark.filterwarnings("ignore:torch.searchsorted:UserWarning", "ignore:Using a non-tuple:UserWarning")
def test_relative_positions_are_resized_and_those_of_the_class_token_kept(tmp_path):
    whole, vit = pretrained("beit", img_size=96), empty("beit")
    constant = whole.blocks[0].attn.relative_position_bias_table
    with torch.no_grad():
        constant[:-3] = 3.0
    load_backbone(vit, wrap(whole.state_dict(), "plain", tmp_path))
    resized = vit.blocks[0].attn.relative_position_bias_table
    assert resized.shape == (7 * 7 + 3, 2)
    torch.testing.assert_close(resized[:-3], torch.full((49, 2), 3.0))
    torch.testing.assert_close(resized[-3:], constant[-3:])
    whole.set_input_size((64, 64))
    with torch.no_grad():
        torch.testing.assert_close(whole.norm(features(vit, IMAGES)), whole.forward_features(IMAGES))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.pop("blocks.1.mlp.fc1.bias"), r"missing: blocks\.1\.mlp\.fc1\.bias"),
        (
            lambda s: s.update({"blocks.2.mlp.fc1.bias": torch.zeros(3)}),
            r"unexpected: blocks\.2\.mlp\.fc1\.bias",
        ),
        (
            lambda s: s.update({"blocks.0.norm1.bias": torch.zeros(3)}),
            r"of another shape: blocks\.0\.norm1\.bias is 3 instead of 32",
        ),
        (lambda s: s.update(pos_embed=torch.zeros(1, 12, 32)), "pos_embed is 1×12×32 instead of 1×17×32"),
        (lambda s: s.pop("patch_embed.proj.weight"), "holds 0 vision transformers"),
    ],
)
def test_a_checkpoint_of_another_encoder_is_refused_and_changes_nothing(change, complaint, tmp_path):
    vit = empty()
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    state = dict(pretrained().state_dict())
    change(state)
    with pytest.raises(ModelError, match=complaint) as caught:
        load_backbone(vit, wrap(state, "plain", tmp_path))
    assert caught.value.remedy
    assert all(torch.equal(value, before[name]) for name, value in vit.state_dict().items())


@pytest.mark.parametrize(
    "name", ["none.pth", "none.safetensors", "noise.pth", "noise.safetensors", "empty.bin"]
)
def test_what_is_no_checkpoint_is_refused(name, tmp_path):
    path = tmp_path / name
    if not name.startswith("none"):
        path.write_bytes(b"noise" * 20 if name.startswith("noise") else b"")
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        read_checkpoint(path)


class Code:
    def __reduce__(self):
        return (print, ("pickled code was run",))


def test_pickled_code_is_not_run(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"model": Code()}, path)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""


def test_a_file_without_tensors_is_refused(tmp_path):
    path = tmp_path / "notes.pth"
    torch.save({"model": {"epoch": 3}}, path)
    with pytest.raises(ModelError, match="holds no tensors"):
        read_checkpoint(path)


def test_a_timm_name_is_asked_of_timm_at_its_own_size(monkeypatch):
    asked = []
    whole = pretrained(img_size=56, patch_size=14, num_classes=0)

    def create_model(name, **arguments):
        asked.append((name, arguments))
        return whole

    monkeypatch.setattr(timm, "create_model", create_model)
    vit = empty()
    load_backbone(vit, "timm:vit_small_patch14_dinov2.lvd142m")
    assert asked == [("vit_small_patch14_dinov2.lvd142m", {"pretrained": True, "num_classes": 0})]
    torch.testing.assert_close(vit.cls_token, whole.cls_token)


@pytest.mark.parametrize("error", [FileNotFoundError("no connection"), RuntimeError("Unknown model (vit_x)")])
def test_without_the_hub_the_error_says_what_to_do(error, monkeypatch):
    def create_model(name, **_):
        raise error

    monkeypatch.setattr(timm, "create_model", create_model)
    with pytest.raises(ModelError, match=f"timm cannot provide 'vit_x': {error.args[0][:7]}") as caught:
        load_backbone(empty(), "timm:vit_x")
    assert "give its path" in caught.value.remedy
