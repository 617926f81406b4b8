from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

from tests.server.fixtures import exported, exported_categorical, serve, stub, toy_model

__all__ = ["exported", "exported_categorical", "serve", "stub", "toy_model"]
