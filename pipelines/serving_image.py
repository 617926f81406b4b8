"""Whether TensorFlow Serving's Docker image can be run on this machine."""

from __future__ import annotations

SERVING_TAG = "2.16.1"
SERVING_IMAGE = f"tensorflow/serving:{SERVING_TAG}"


def why_not() -> str | None:
    """The reason why the InfraValidator cannot run here, in words; None where it can.

    The image must be there already: a run of the pipeline pulls nothing.
    """
    import docker

    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        return "Docker does not answer"
    try:
        client.images.get(SERVING_IMAGE)
    except docker.errors.ImageNotFound:
        return f"Docker has no image {SERVING_IMAGE}; docker pull {SERVING_IMAGE}"
    return None
