r"""The same pipeline for Kubeflow Pipelines or Vertex AI, with Beam's jobs on Dataflow.

python -m pipelines.vertex adobe5k --image REGION-docker.pkg.dev/P/R/tfvs:1 --runs gs://B/runs --data gs://B/fivek \
  --project P --region R --output adobe5k.json
"""

from __future__ import annotations

from pathlib import Path

import click

from pipelines.config import PipelineConfig, load_pipeline
from pipelines.run import PIPELINES
from tfvs.errors import ConfigError, ResourceError, one_sentence


def dataflow_args(project: str, region: str, runs_root: str) -> list[str]:
    """Beam's arguments for Dataflow. Workers start from the image of the pipeline."""
    return [
        "--runner=DataflowRunner",
        f"--project={project}",
        f"--region={region}",
        f"--temp_location={runs_root.rstrip('/')}/tmp",
        "--experiments=use_runner_v2",
    ]


def compile_pipeline(config: PipelineConfig, output: Path, *, image: str, project: str, region: str) -> Path:
    """Writes the job that Vertex AI runs.

    Args:
      config: ``data`` and ``runs_root`` are URIs of buckets.
      output: The JSON file to write.
      image: Docker image with this checkout and its packages.
      project: The project in Google Cloud.
      region: The region in Google Cloud.

    Returns:
      The output.

    Raises:
      ConfigError: A path is local, so that no other machine can read it.
      ResourceError: kfp is not installed.
    """
    for field in ("data", "runs_root"):
        if "://" not in getattr(config, field):
            raise ConfigError(
                f"{field} is not reachable from a fleet",
                expected="a URI such as gs://bucket/folder",
                received=getattr(config, field),
            )
    try:
        from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner as kubeflow
    except ImportError as error:
        raise ResourceError(
            f"Kubeflow's compiler is not installed: {error}",
            mend="make kubeflow gives .venv-kubeflow, an environment with the packages of requirements/kubeflow.txt",
        ) from error
    from pipelines.pipeline import create_pipeline

    # Workers have no Docker daemon.
    pipeline = create_pipeline(
        config.replace(infra_validation=False),
        managed=True,
        beam_args=[*dataflow_args(project, region, config.runs_root), f"--sdk_container_image={image}"],
    )
    runner = kubeflow.KubeflowV2DagRunner(
        config=kubeflow.KubeflowV2DagRunnerConfig(default_image=image),
        output_dir=str(output.parent),
        output_filename=output.name,
    )
    runner.run(pipeline, parameter_values={"data": config.data})
    return output


@click.command()
@click.argument("pipeline", type=click.Choice(PIPELINES))
@click.option("--image", required=True, help="Docker image with this checkout and its packages.")
@click.option("--data", required=True, help="URI of the raw data; at run time the parameter `data` replaces it.")
@click.option("--runs", required=True, help="URI below which everything is written.")
@click.option("--project", required=True, help="The project in Google Cloud.")
@click.option("--region", required=True, help="The region in Google Cloud.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("pipeline.json"), help="JSON file for the compiled job."
)
def main(pipeline: str, image: str, data: str, runs: str, project: str, region: str, output: Path) -> None:
    """Compiles PIPELINE for Vertex AI."""
    with one_sentence():
        config = load_pipeline(pipeline)
        config = config.replace(data=data, runs_root=runs)
        click.echo(compile_pipeline(config, output.resolve(), image=image, project=project, region=region))


if __name__ == "__main__":
    main()
