from __future__ import annotations

import pytest

pytest.importorskip("tensorflow_serving", reason="tfvs[serving] is not installed")

from tests.server.fixtures import exported, saccader_rest_port, saccader_server, serve, served_images, stub, toy_model

__all__ = ["exported", "saccader_rest_port", "saccader_server", "serve", "served_images", "stub", "toy_model"]
