"""Every parameter of every algorithm reaches the engine, under the name that it has there."""

from __future__ import annotations

import pytest
from job_table import JOBS, in_folder


@pytest.mark.parametrize("name", JOBS)
def test_every_parameter_has_its_place_in_the_job(told, folder, name):
    row = JOBS[name]
    wanted = {"task": row.task, "arguments": in_folder(row.arguments, folder / "jobs")}
    assert told[f"job of {name}"] == wanted


def test_the_table_has_every_parameter_with_a_value_that_is_not_its_default(told):
    for name, facts in told["catalogue"].items():
        rows = [row.parameters for row in JOBS.values() if row.algorithm == name]
        assert set().union(*rows) == set(facts["parameters"]), name
        for parameter, default in facts["defaults"].items():
            assert any(row.get(parameter, default) != default for row in rows), (name, parameter)


@pytest.mark.parametrize("name", JOBS)
def test_no_two_parameters_of_a_row_have_the_same_value(name):
    values = [str(v) for v in JOBS[name].parameters.values() if not isinstance(v, bool)]
    assert len(set(values)) == len(values)
