"""One command from a user's data to a model file that the product loads."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from affine import Affine
from PIL import Image
from rasters import ORIGIN, scene, write_plots, write_raster
from typer.testing import CliRunner

from cropseg_geo.errors import InputError, ModelError, OutputError
from cropseg_geo.model.backends import choose_predictor, onnx_form
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.onnx_file import load_graph
from cropseg_geo.model.openvino_runtime import computes_bf16
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.weights import load_state, read_card, save_weights
from training.augment import Augmentation
from training.commands.train import onnx
from training.commands.tune import tune_app
from training.data import MANIFEST, Pair
from training.export import half_precision
from training.recipe import CANOPY_M, CANOPY_S
from training.sources import tuning
from training.sources.dataset import Dataset, read_dataset
from training.sources.heights import prepare_heights
from training.sources.split import Labels
from training.sources.tuning import Plan, mixed_shares, tuning_recipe
from training.start import load_average

NETWORK = {"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "fold_norms": True}
SMALL = replace(CANOPY_S, augmentation=Augmentation(crop_px=64), batch=2)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model file to start from, with random weights."""
    torch.manual_seed(0)
    card = ModelCard(
        name="tiny",
        version="2",
        summary="Green against brown.",
        architecture="canopy",
        network=freeze_arguments(NETWORK),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        classes=("background", "crop"),
        colours=("#000000", "#2e8b57"),
        gsd_m=0.01,
        gsd_range_m=(0.002, 0.02),
        weights_digest="0" * 64,
        licence="CC-BY-SA-4.0",
        training_data=("made up, CC0-1.0",),
        bf16_agreement=1.0,
    )
    path = tmp_path_factory.mktemp("start") / "tiny.safetensors"
    save_weights(path, build_network("canopy", classes=2, **NETWORK).state_dict(), card)
    return path


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(tuning, "RECIPES", {"tiny": SMALL})
    monkeypatch.setattr(tuning, "default_data_root", lambda: tmp_path / "nothing")
    monkeypatch.delenv("CROPSEG_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    """Three pictures and masks."""
    folder = tmp_path / "mine"
    save_pairs(folder, ("north", "south", "west"))
    return folder


def save_pairs(folder, names):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate(names):
        pixels = scene(96, 128, seed).transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        Image.fromarray((pixels[..., 1] > 115).astype(np.uint8)).save(folder / "masks" / f"{name}.png")


def run(*arguments, start):
    options = ("--model", start, "--steps", 2, "--workers", 0)
    # Where a test has its own, the later one counts.
    arguments = (arguments[0], "--no-onnx", "--device", "cpu", *arguments[1:])
    result = CliRunner().invoke(tune_app, [str(part) for part in (*arguments, *options)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def logits(path):
    return TorchPredictor(path, device="cpu").predict(np.full((1, 3, 64, 64), 0.4, np.float32))


def test_pairs_become_a_model_that_the_product_loads(folder, start, tmp_path):
    out = tmp_path / "my-soy.safetensors"
    result = run("pairs", folder, "-o", out, "--licence", "CC-BY-4.0", start=start)
    assert result.exit_code == 0, result.output
    card = read_card(out)
    assert card.name == "my-soy"
    assert card.network == read_card(start).network
    assert card.training_data[0] == (
        "my-soy: 3 pictures with masks (north.png, south.png, west.png; 2 trained on, 1 held out), "
        "GSD unknown, licence: CC-BY-4.0; 2 steps"
    )
    assert any(line.startswith("start: tiny 2, CC-BY-SA-4.0") for line in card.training_data)
    assert card.training_data[-1] == "made up, CC0-1.0"
    assert card.licence == "CC-BY-SA-4.0"
    # Measured with other weights: it would have these computed in bf16.
    assert card.bf16_agreement is None
    assert [name for name, _ in card.scores] == ["my-soy (held out)", "my-soy (held out; tiny)"]
    assert logits(out).shape == (1, 2, 64, 64)
    assert not np.array_equal(logits(out), logits(start))
    assert "boundary IoU" in result.output
    assert result.output.strip().endswith(f"use it: cropseg segment ortho.tif --model {out}")


@pytest.mark.slow
def test_what_bf16_does_is_measured_on_the_users_pictures(folder, start, tmp_path, monkeypatch):
    from training.evaluation import precision

    seen = []

    def agreement(graph, sets):
        seen.extend((graph.is_file(), reader().image.shape) for each in sets for reader in each.readers)
        return 0.99912

    monkeypatch.setattr(precision, "bf16_agreement", agreement)
    out = tmp_path / "m.safetensors"
    run("pairs", folder, "-o", out, "--onnx", start=start)
    assert seen == 3 * [(True, (96, 128, 3))]
    assert read_card(out).bf16_agreement == read_card(out.with_suffix(".onnx")).bf16_agreement == 0.99912


@pytest.mark.slow
def test_the_onnx_form_is_the_same_model(folder, start, tmp_path):
    out = tmp_path / "m.safetensors"
    result = run("pairs", folder, "-o", out, "--onnx", start=start)
    assert f"{out.with_suffix('.onnx')}: the same" in result.output
    assert onnx_form(out) == out.with_suffix(".onnx")
    tiles = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    ours = choose_predictor(out, backend="onnxruntime").predict(tiles)
    assert np.abs(ours - TorchPredictor(out, device="cpu").predict(tiles)).max() < 0.01
    assert (read_card(out).bf16_agreement is not None) == computes_bf16()
    assert load_graph(out.with_suffix(".onnx"))
    out.unlink()
    with pytest.raises(OutputError, match=r"m\.onnx exists"):
        run("pairs", folder, "-o", out, "--onnx", start=start)


def test_without_the_onnx_form_the_command_for_it_is_told(folder, start, tmp_path):
    out = tmp_path / "m.safetensors"
    assert f"python -m training onnx {out}" in run("pairs", folder, "-o", out, start=start).output
    assert not out.with_suffix(".onnx").exists()


def test_the_last_line_can_be_pasted_into_a_shell(folder, start, tmp_path):
    out = tmp_path / "my soy.safetensors"
    result = run("pairs", folder, "-o", out, start=start)
    assert result.output.strip().endswith(f"use it: cropseg segment ortho.tif --model '{out}'")


def test_the_trained_pictures_and_the_scored_ones_share_no_group(folder, start, tmp_path, monkeypatch):
    import training.evaluation.run as scoring
    import training.fit as fitting

    seen = {}
    fit, evaluate = fitting.fit, scoring.evaluate_pairs
    monkeypatch.setattr(
        fitting, "fit", lambda r, pairs, *a, **k: seen.update(fit=pairs) or fit(r, pairs, *a, **k)
    )
    monkeypatch.setattr(
        scoring, "evaluate_pairs", lambda m, pairs, **k: seen.update(scored=pairs) or evaluate(m, pairs, **k)
    )
    run("pairs", folder, "-o", tmp_path / "m.safetensors", start=start)
    trained, scored = ({pair.group for pair in seen[key]} for key in ("fit", "scored"))
    assert trained | scored == {"north", "south", "west"}
    assert scored
    assert not trained & scored


def test_the_same_command_goes_on_with_what_is_there(folder, start, tmp_path):
    out = tmp_path / "m.safetensors"
    run("pairs", folder, "-o", out, start=start)
    before = out.read_bytes()
    with pytest.raises(OutputError, match="exists"):
        run("pairs", folder, "-o", out, start=start)
    run("pairs", folder, "-o", out, "--overwrite", start=start)
    assert out.read_bytes() == before


def test_the_weights_go_as_far_as_they_are_told_without_training_anew(folder, start, tmp_path):
    shared = ("pairs", folder, "--run", tmp_path / "run", "--name", "m")
    states, checkpoints = {}, set()
    for strength in ("1", "0.25", "0.5"):
        out = tmp_path / f"{strength}.safetensors"
        options = () if strength == "0.5" else ("--strength", strength)
        run(*shared, "-o", out, *options, start=start)
        states[strength] = load_state(out)
        checkpoints.add((tmp_path / "run" / "last.pt").read_bytes())
        told = f"; weights {float(strength):.0%} of the way from there" in read_card(out).training_data[1]
        assert told == (strength != "1")
    assert len(checkpoints) == 1
    average = half_precision(load_average(tmp_path / "run" / "last.pt"))
    assert all(torch.equal(states["1"][name], tensor) for name, tensor in average.items())
    begun, moved = load_state(start), 0
    for strength in ("0.25", "0.5"):
        for name, tensor in states[strength].items():
            way = torch.lerp(begun[name].float(), states["1"][name].float(), float(strength))
            assert torch.allclose(tensor.float(), way, rtol=2e-3, atol=1e-6)
            moved += not torch.equal(tensor, states["1"][name])
    assert moved > 10


def test_a_run_does_not_go_on_from_another_model_under_the_same_path(folder, start, tmp_path):
    own, out = tmp_path / "own.safetensors", tmp_path / "m.safetensors"
    own.write_bytes(start.read_bytes())
    run("pairs", folder, "-o", out, start=own)
    before = out.read_bytes()
    other = {name: tensor + 1 for name, tensor in load_state(start).items()}
    save_weights(own, other, read_card(start))
    with pytest.raises(InputError, match="from another model"):
        run("pairs", folder, "-o", out, "--overwrite", start=own)
    assert out.read_bytes() == before


def test_polygons_become_a_model_with_the_gsd_of_the_orthomosaic(start, tmp_path):
    ortho = write_raster(tmp_path / "field.tif", scene(128, 160))
    polygons = write_plots(tmp_path / "canopy.gpkg", [(0.15, 0.15, 0.5, 0.5), (0.8, 0.7, 1.3, 1.1)])
    out = tmp_path / "m.safetensors"
    result = run("polygons", ortho, polygons, "-o", out, start=start)
    assert result.exit_code == 0, result.output
    card = read_card(out)
    assert card.gsd_m == pytest.approx(0.01)
    assert "an orthomosaic with outlined canopy (field.tif, canopy.gpkg; " in card.training_data[0]
    assert "windows trained on" in card.training_data[0]
    assert "1 cm/px" in card.training_data[0]
    assert f"cropseg segment {ortho} --model {out}" in result.output
    dataset = read_dataset(tmp_path / "m-run" / "dataset")
    assert dataset.kind == "polygons"
    assert logits(out).shape == (1, 2, 64, 64)


def test_heights_alone_become_a_model(start, tmp_path):
    pixels = scene(256, 256)
    plants = pixels[1] > 115
    noise = np.random.default_rng(0).normal(0.0, 0.003, plants.shape)
    surface = np.where(plants, 0.3, 0.0) + noise
    ortho = write_raster(tmp_path / "field.tif", pixels)
    dsm = write_raster(tmp_path / "dsm.tif", surface[None].astype(np.float32) + 50)
    dtm = write_raster(tmp_path / "dtm.tif", np.full((1, 256, 256), 50, np.float32))
    out = tmp_path / "m.safetensors"
    result = run("heights", ortho, dsm, "--dtm", dtm, "-o", out, start=start)
    assert result.exit_code == 0, result.output
    dataset = read_dataset(tmp_path / "m-run" / "dataset")
    assert dataset.kind == "heights"
    assert dataset.labels.cover == pytest.approx(plants.mean(), abs=0.03)
    assert {p.group for p in dataset.pairs("train")}.isdisjoint(p.group for p in dataset.pairs("test"))
    assert (tmp_path / "m-run" / "labels" / "sheet.html").is_file()
    card = read_card(out)
    assert "an orthomosaic labelled by its heights (field.tif, dsm.tif, dtm.tif; " in card.training_data[0]
    assert "m (held out, labels made from heights, unknown left out)" in dict(card.scores)


def test_heights_beside_the_orthomosaic_are_refused(start, tmp_path):
    ortho = write_raster(tmp_path / "field.tif", scene(96, 128))
    far = Affine(0.01, 0, ORIGIN[0] + 900, 0, -0.01, ORIGIN[1])
    dsm = write_raster(tmp_path / "dsm.tif", np.zeros((1, 96, 128), np.float32), transform=far)
    with pytest.raises(InputError, match="does not overlap"):
        run("heights", ortho, dsm, "-o", tmp_path / "m.safetensors", start=start)


def test_labelled_tiles_of_heights_become_a_dataset_split_by_place(tmp_path):
    ortho = write_raster(tmp_path / "field.tif", scene(96, 128))
    dsm = write_raster(tmp_path / "dsm.tif", np.zeros((1, 96, 128), np.float32))
    save_pairs(tmp_path / "tiles", ("r0_c0", "r0_c64", "r64_c0"))

    def labeller(folder):
        assert folder == tmp_path / "run" / "labels"
        names = sorted(path.name for path in (tmp_path / "tiles" / "images").iterdir())
        return tuple(
            Pair("train", "x", tmp_path / "tiles/images" / n, tmp_path / "tiles/masks" / n, "x", "", "", n)
            for n in names
        )

    target = tmp_path / "run" / "dataset"
    dataset = prepare_heights(ortho, dsm, None, target, name="mine", labeller=labeller)
    train, test = ({pair.group for pair in dataset.pairs(split)} for split in ("train", "test"))
    assert train | test == {"r0_c0", "r0_c64", "r64_c0"}
    assert not train & test
    assert dataset.gsd_m == pytest.approx(0.01)


def test_the_products_own_data_are_mixed_in_where_they_are(folder, start, tmp_path, monkeypatch):
    import training.fit as fitting

    root = tmp_path / "own"
    save_pairs(root, ("one",))
    (root / MANIFEST).write_text(
        "split,dataset,image,mask,licence,source,group,sha256_16\n"
        "train,peanut,images/one.png,masks/one.png,CC0,made up,monday,0\n"
    )
    seen = {}
    fit = fitting.fit
    monkeypatch.setattr(
        fitting, "fit", lambda r, p, *a, **k: seen.update(recipe=r, pairs=p) or fit(r, p, *a, **k)
    )
    out = tmp_path / "m.safetensors"
    run("pairs", folder, "-o", out, "--data", root, "--keep", 0.25, start=start)
    assert seen["recipe"].shares == {"m": 0.75, "peanut": 0.25}
    assert {pair.dataset for pair in seen["pairs"]} == {"m", "peanut"}
    assert "25% of the crops from the start model's own data" in read_card(out).training_data


def test_shares_add_up_and_keep_their_proportions():
    kept = tuple(Pair("train", name, *[None] * 2, "", "", "", "") for name in ("peanut", "peanut", "agir"))
    shares = mixed_shares("mine", kept, keep=0.6)
    assert shares == pytest.approx({"mine": 0.4, "peanut": 0.4, "agir": 0.2})


@pytest.mark.parametrize(("steps", "warmup"), [(5, 1), (60, 6), (10_000, SMALL.warmup_steps)])
def test_a_recipe_is_the_start_models_but_gentler_and_shorter(start, tmp_path, monkeypatch, steps, warmup):
    base = replace(SMALL, label_smoothing=0.1)
    monkeypatch.setattr(tuning, "RECIPES", {"tiny": base})
    card = replace(read_card(start), mean=(0.3, 0.4, 0.5), std=(0.1, 0.2, 0.3))
    dataset = Dataset(tmp_path, "0", "mine", "pairs", "CC0-1.0", "made up", None, 3, (), Labels(1, 1))
    changed = {
        "name": "ours",
        "version": "1.0.0",
        "summary": "Green against brown. Tuned on mine.",
        "architecture": "canopy",
        "network": NETWORK,
        "mean": (0.3, 0.4, 0.5),
        "std": (0.1, 0.2, 0.3),
        "initial_weights": f"model:{start.resolve()}",
        "shares": {"mine": 1.0},
        "doubted": CANOPY_M.doubted,
        "augmentation": replace(SMALL.augmentation, ready=("simulator", "mine")),
        "steps": steps,
        "learning_rate": SMALL.learning_rate / 5,
        "warmup_steps": warmup,
        "checkpoint_every": 25,
        "ema_decay": 0.99,
        "average_teaches": False,
        "label_smoothing": 0.02,
    }
    made = tuning_recipe(card, dataset, Plan(model=start, steps=steps), (), name="ours")
    assert made == replace(base, **changed)
    same = {name for name, value in changed.items() if getattr(base, name) == value}
    assert same <= {"architecture", "warmup_steps"}


def test_missing_data_are_told_and_a_wrong_folder_is_refused(folder, start, tmp_path):
    result = run("pairs", folder, "-o", tmp_path / "m.safetensors", start=start)
    assert "the model may forget" in result.output
    with pytest.raises(InputError, match="no training data"):
        run("pairs", folder, "-o", tmp_path / "n.safetensors", "--data", tmp_path, start=start)


def test_what_cannot_be_written_or_named_is_refused_before_any_work(folder, start, tmp_path):
    with pytest.raises(InputError, match="no model file's name"):
        run("pairs", folder, "-o", tmp_path / "model.onnx", start=start)
    with pytest.raises(OutputError, match="the model to start from"):
        run("pairs", folder, "-o", start, "--overwrite", start=start)
    with pytest.raises(InputError, match="is taken"):
        run("pairs", folder, "-o", tmp_path / "m.safetensors", "--name", "peanut", start=start)
    with pytest.raises(InputError, match="unknown device 'gpu0'"):
        run("pairs", folder, "-o", tmp_path / "m.safetensors", "--device", "gpu0", start=start)
    (tmp_path / "folder.safetensors").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        run("pairs", folder, "-o", tmp_path / "folder.safetensors", "--overwrite", start=start)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        run("pairs", folder, "-o", tmp_path / "file" / "m.safetensors", "--run", tmp_path / "r", start=start)
    assert not (tmp_path / "m-run").exists()


def test_a_picture_that_is_cut_is_one_picture_on_the_card(start, tmp_path):
    folder = tmp_path / "one"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    pixels = scene(260, 300).transpose(1, 2, 0)
    Image.fromarray(pixels).save(folder / "images" / "field.png")
    Image.fromarray((pixels[..., 1] > 115).astype(np.uint8)).save(folder / "masks" / "field.png")
    run("pairs", folder, "-o", tmp_path / "m.safetensors", start=start)
    told = read_card(tmp_path / "m.safetensors").training_data[0]
    assert told.startswith("m: a picture with its mask (field.png; 7 windows trained on, 2 held out)")


def test_the_labels_are_drawn_to_be_looked_at(folder, start, tmp_path):
    result = run("pairs", folder, "-o", tmp_path / "m.safetensors", start=start)
    sheet = tmp_path / "m-run" / "labels.jpg"
    assert f"look at the labels: {sheet}" in result.output.replace("\n", "")
    assert "the masks look" not in result.output
    with Image.open(sheet) as image:
        assert image.size == (3 * 2 * 240, 240)


@pytest.mark.parametrize(
    ("change", "told"),
    [(lambda mask: 1 - mask, "exchanged"), (lambda mask: mask[::-1, ::-1], "turned by 180°")],
)
def test_masks_that_contradict_their_pictures_are_told_before_the_training(
    folder, start, tmp_path, change, told
):
    for path in (folder / "masks").iterdir():
        # Cut so that plants do not lie where they lie turned around.
        pixels = np.asarray(Image.open(path))[:80, :100]
        Image.fromarray(np.ascontiguousarray(change(pixels))).save(path)
        picture = folder / "images" / path.name
        Image.open(picture).crop((0, 0, 100, 80)).save(picture)
    result = run("pairs", folder, "-o", tmp_path / "m.safetensors", start=start)
    assert f"the masks look {told}" in result.output


def test_a_model_that_is_no_better_says_so(folder, start, tmp_path, monkeypatch):
    import training.evaluation.run as scoring

    found = {"mine": {name: {"miou": 0.5} for name in ("tiny", "mine")}}
    monkeypatch.setattr(scoring, "evaluate_pairs", lambda *_, **__: found)
    result = run("pairs", folder, "-o", tmp_path / "mine.safetensors", start=start)
    assert "no better than tiny on what was held out" in result.output


def test_an_onnx_form_is_no_start_and_what_lies_beside_it_is_named(folder, start, tmp_path):
    graph = tmp_path / "m1.onnx"
    graph.touch()
    for command in (
        lambda: run("pairs", folder, "-o", tmp_path / "m.safetensors", start=graph),
        lambda: onnx(graph),
    ):
        with pytest.raises(ModelError, match=r"m1\.onnx is a model's ONNX form") as caught:
            command()
        assert "give the .safetensors file" in caught.value.remedy
        graph.with_suffix(".safetensors").touch()
        with pytest.raises(ModelError) as caught:
            command()
        assert str(graph.with_suffix(".safetensors")) in caught.value.remedy
        graph.with_suffix(".safetensors").unlink()
    assert not (tmp_path / "m-run").exists()


def test_a_bad_folder_ends_the_command_before_training(start, tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        run("pairs", tmp_path / "missing", "-o", tmp_path / "m.safetensors", start=start)
    assert not (tmp_path / "m-run").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("keep", 1.0), ("keep", -0.1), ("steps", 0), ("strength", 0.0), ("strength", 1.1)]
)
def test_plans_that_train_nothing_are_refused(field, value):
    with pytest.raises(InputError, match=f"--{field}"):
        Plan(**{field: value})
