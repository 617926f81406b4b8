"""The two-digit pipeline on real digits through TFX's command line: blessed and pushed, cached, and refused."""

import pytest

from tests.e2e.command import COMPONENTS, Pipeline
from tests.e2e.two_digit import make

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return make(tmp_path_factory.mktemp("two_digit"))


def test_blessed_then_cached_then_refused(pipeline) -> None:
    pipeline.tfx("pipeline", "create", "--engine", "local", "--pipeline_path", pipeline.file)
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline_name", "two_digit_mnist")
    states = pipeline.states()
    assert all(states[name] == "complete" for name in COMPONENTS), states
    assert len(pipeline.pushed()) == 1

    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file)
    states = pipeline.states()
    assert all(states[name] == "reused" for name in COMPONENTS), states
    assert len(pipeline.pushed()) == 1

    # A threshold that this model does not reach: evaluated again, not trained again, not pushed.
    pipeline.tfx("run", "create", "--engine", "local", "--pipeline", pipeline.file, TFVS_MINIMUM_ACCURACY="1.0")
    states = pipeline.states()
    assert states["Trainer"] == "reused"
    assert states["Evaluator"] == "complete"
    assert len(pipeline.pushed()) == 1
