from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.hub_process import HubProcess


@pytest.fixture(scope="module")
def hub() -> Iterator[HubProcess]:
    """One hub for the tests of a module."""
    with HubProcess() as process:
        yield process
