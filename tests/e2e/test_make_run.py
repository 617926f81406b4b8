"""``make run``: stopped with Ctrl-C in the middle of a component it goes on, and a further run reuses everything."""

import pytest

from tests.e2e.command import Pipeline
from tests.e2e.two_digit import make

pytestmark = [pytest.mark.e2e, pytest.mark.tfx]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory) -> Pipeline:
    return make(tmp_path_factory.mktemp("run"))


@pytest.mark.parametrize("moment", ["SaccadeExampleGen ...", "epoch 3/8", "Evaluator ..."])
def test_ctrl_c_is_one_sentence(pipeline, moment: str) -> None:
    code, said = pipeline.make_run(stop_at=moment)
    assert code == 130, said
    assert "Stopped; the same command goes on from here." in said
    assert "Traceback" not in said


def test_it_goes_on_to_a_pushed_model_and_a_sheet(pipeline) -> None:
    code, said = pipeline.make_run()
    assert code == 0, said
    assert "epoch" not in said, "What was trained before the stop was trained again."
    assert len(pipeline.pushed()) == 1
    assert (pipeline.config.root / "saccades.png").stat().st_size > 10_000


def test_a_further_run_reuses_everything(pipeline) -> None:
    code, said = pipeline.make_run()
    assert code == 0, said
    assert {pipeline.states()[name] for name in ("SaccadeExampleGen", "StatisticsGen", "Trainer", "Evaluator")} == {
        "reused"
    }
