"""The command line as a process: what it says when it is stopped, and when a disk is full."""

import errno

import pytest
from typer.testing import CliRunner

from cropseg_geo.errors import InputError
from training import __main__ as main


def end_of(monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as caught:
        main.main()
    return caught.value.code


def test_ctrl_c_says_that_the_same_command_goes_on(monkeypatch, capsys):
    # Typer turns KeyboardInterrupt into this.
    assert end_of(monkeypatch, SystemExit(130)) == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_full_disk_is_told_with_what_to_do(monkeypatch, capsys):
    assert end_of(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "run/log.jsonl")) == 1
    assert "free some space" in capsys.readouterr().err


def test_other_errors_of_the_system_are_not_hidden(monkeypatch):
    monkeypatch.setattr(main, "app", lambda: (_ for _ in ()).throw(PermissionError("no")))
    with pytest.raises(PermissionError):
        main.main()


def test_export_without_a_run_is_refused_and_does_not_train_one(tmp_path):
    result = CliRunner().invoke(main.app, ["export", "canopy-s", "--runs", str(tmp_path / "runs")])
    assert isinstance(result.exception, InputError)
    assert "no run to export" in result.exception.message
    assert not (tmp_path / "runs").exists()


def test_ablations_of_no_steps_are_wrong_usage():
    assert CliRunner().invoke(main.app, ["ablate", "--steps", "0"]).exit_code == 2
