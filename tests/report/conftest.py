from __future__ import annotations

import pytest
from report.survey import make_survey


@pytest.fixture(scope="session")
def field(tmp_path_factory):
    """Paths of a small survey's files; see :func:`report.survey.make_survey`."""
    return make_survey(tmp_path_factory.mktemp("field"))
