from tests.server.fixtures import stub, toy_model

__all__ = ["stub", "toy_model"]
