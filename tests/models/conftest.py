"""Tests that ask for `model` run on one of each kind."""

import pytest
from support.specs import SPECS


@pytest.fixture(params=SPECS)
def model(request, models):
    return models[request.param]
