from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

from tests.server.fixtures import exported

__all__ = ["exported"]
