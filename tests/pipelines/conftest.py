import pytest


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of a pipeline that ran twice; see runs.write_run."""
    pytest.importorskip("ml_metadata", reason="TFX is not installed")
    from tests.pipelines.runs import write_run

    root = tmp_path_factory.mktemp("run")
    write_run(root)
    return root
