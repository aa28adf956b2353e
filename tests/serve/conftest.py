"""A gateway before each engine, and the engine's own client at it."""

import pytest
from support.gateways import gateway_before

from meta4.adapter.engines.connection import connect


@pytest.fixture(scope="module")
def gateway(node):
    with gateway_before(node.url) as url:
        yield url


@pytest.fixture(scope="module")
def client(gateway):
    """The engines' own client, which takes the gateway for an engine."""
    client = connect(gateway)
    yield client
    client.close()
