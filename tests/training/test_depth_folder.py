"""Depth of folders: which files, resumed after a stop, and the command from end to end."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
import typer
from PIL import Image
from published_depth import to_published
from rasterio.errors import NotGeoreferencedWarning
from safetensors.torch import save_file
from typer.testing import CliRunner

from cropseg_geo.errors import InputError, OutputError
from training.commands.depth import depth as depth_command
from training.depth.folder import IDENTITY, Job, claim_folder, plan_jobs, run_jobs, write_depth
from training.depth.network import DepthNet
from training.depth.sizes import find_size


def green(image):
    """Stands in for a network: green as depth."""
    return image[..., 1].astype(np.float32)


def read_depth(path):
    """Inverse depth (H, W) of a file that the folder's jobs wrote."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            return file.read(1)


def nothing():
    pass


def save_picture(path, height=6, width=9, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    for index, name in enumerate(("b.png", "rows/a.png", "rows/c.PNG")):
        save_picture(root / name, seed=index)
    (root / "notes.txt").write_text("no picture")
    return root


def test_every_picture_becomes_a_file_at_its_place(pictures, tmp_path):
    jobs = plan_jobs(pictures, tmp_path / "out")
    names = [str(job.target.relative_to(tmp_path / "out")) for job in jobs]
    assert names == ["b.tif", "rows/a.tif", "rows/c.tif"]
    outcome = run_jobs(jobs, green, on_picture=nothing)
    assert (outcome.made, outcome.skipped, outcome.failures) == (3, 0, ())
    for job in jobs:
        stored = read_depth(job.target)
        assert stored.dtype == np.float32
        assert np.array_equal(stored, np.asarray(Image.open(job.picture))[..., 1])
    assert not list((tmp_path / "out").rglob("*.part"))


def test_a_single_picture_is_taken(pictures, tmp_path):
    assert plan_jobs(pictures / "b.png", tmp_path / "out") == (
        Job(pictures / "b.png", tmp_path / "out" / "b.tif"),
    )


def test_depth_that_is_there_is_not_computed_again(pictures, tmp_path):
    jobs = plan_jobs(pictures, tmp_path / "out")
    run_jobs(jobs[:2], green, on_picture=nothing)
    seen = []
    outcome = run_jobs(jobs, lambda image: seen.append(image) or green(image), on_picture=nothing)
    assert (outcome.made, outcome.skipped, len(seen)) == (1, 2, 1)


def test_a_stopped_run_leaves_no_file_under_a_final_name(pictures, tmp_path):
    jobs = plan_jobs(pictures, tmp_path / "out")
    calls = []

    def stopped(image):
        calls.append(image)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return green(image)

    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, stopped, on_picture=nothing)
    assert [job.target.is_file() for job in jobs] == [True, False, False]
    assert run_jobs(jobs, green, on_picture=nothing).made == 2


def test_an_interrupted_write_leaves_the_older_file(tmp_path):
    path = tmp_path / "a.tif"
    write_depth(path, np.ones((3, 4), np.float32))
    with pytest.raises(ValueError, match="no number"):
        write_depth(path, np.full((3, 4), "no number"))
    assert np.array_equal(read_depth(path), np.ones((3, 4)))
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_that_cannot_be_read_is_reported_and_the_others_are_made(pictures, tmp_path):
    (pictures / "a_broken.png").write_bytes(b"no picture at all")
    ticks = []
    outcome = run_jobs(plan_jobs(pictures, tmp_path / "out"), green, on_picture=lambda: ticks.append(1))
    assert (outcome.made, len(ticks)) == (3, 4)
    assert len(outcome.failures) == 1
    assert "a_broken.png" in outcome.failures[0]


def test_two_pictures_for_one_file_are_refused(pictures, tmp_path):
    save_picture(pictures / "b.jpg")
    with pytest.raises(InputError, match=r"b\.jpg and .*b\.png would both become"):
        plan_jobs(pictures, tmp_path / "out")


def test_depth_is_not_written_among_the_pictures(pictures):
    for out in (pictures, pictures / "depth"):
        with pytest.raises(InputError, match="lies within the pictures' folder"):
            plan_jobs(pictures, out)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        plan_jobs(tmp_path / "absent", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no pictures in"):
        plan_jobs(tmp_path / "empty", tmp_path / "out")


def test_a_folder_holds_depth_of_one_set_of_weights(tmp_path):
    small, out = find_size("small"), tmp_path / "out"
    (tmp_path / "a.pth").write_bytes(b"a")
    (tmp_path / "b.pth").write_bytes(b"b")
    claim_folder(out, small, tmp_path / "a.pth")
    claim_folder(out, small, tmp_path / "a.pth")
    with pytest.raises(InputError, match="holds depth by Depth Anything V2 small"):
        claim_folder(out, small, tmp_path / "b.pth")
    with pytest.raises(InputError, match="asked for Depth Anything V2 other"):
        claim_folder(out, replace(small, name="other"), tmp_path / "a.pth")


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write"):
        write_depth(tmp_path / "file" / "a.tif", np.ones((3, 4), np.float32))


def test_the_command_writes_depth_resumes_and_refuses_other_weights(tmp_path):
    app = typer.Typer()
    app.command()(depth_command)
    torch.manual_seed(0)
    state = to_published(DepthNet(find_size("small")))
    save_file(state, tmp_path / "small.safetensors")
    save_picture(tmp_path / "pictures" / "a.png", 31, 30)
    arguments = [str(tmp_path / "pictures"), "--weights", str(tmp_path / "small.safetensors")]
    arguments += ["--out", str(tmp_path / "out"), "--device", "cpu"]

    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0, first.output
    assert "1 made, 0 there already" in first.output
    assert read_depth(tmp_path / "out" / "a.tif").shape == (31, 30)
    assert json.loads((tmp_path / "out" / IDENTITY).read_text())["licence_of_weights"] == "Apache-2.0"

    again = CliRunner().invoke(app, arguments)
    assert "0 made, 1 there already" in again.output

    (tmp_path / "pictures" / "broken.png").write_bytes(b"broken")
    broken = CliRunner().invoke(app, arguments)
    assert isinstance(broken.exception, InputError)
    assert "1 of 2 pictures could not be used" in str(broken.exception)

    refused = CliRunner().invoke(app, [*arguments, "--size", "large"])
    assert "CC-BY-NC-4.0" in str(refused.exception)
