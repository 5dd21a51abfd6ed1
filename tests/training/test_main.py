"""The command line as a process: what it says when it is stopped, and when a disk is full."""

import errno

import pytest

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
