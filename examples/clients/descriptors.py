"""Writes TensorFlow Serving's own protos as one descriptor file, from which the clients here make their calls.

``python examples/clients/descriptors.py serving.pb`` needs ``tensorflow-serving-api``; the clients need neither Python
nor a protobuf compiler.
"""

from __future__ import annotations

import sys
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from tensorflow_serving.apis import prediction_service_pb2


def descriptor_set() -> descriptor_pb2.FileDescriptorSet:
    """The file of PredictionService and all that it imports, imports first."""
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}

    def add(file: FileDescriptor) -> None:
        for dependency in file.dependencies:
            add(dependency)
        proto = descriptor_pb2.FileDescriptorProto()
        file.CopyToProto(proto)
        files.setdefault(file.name, proto)

    add(prediction_service_pb2.DESCRIPTOR)
    return descriptor_pb2.FileDescriptorSet(file=files.values())


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(descriptor_set().SerializeToString())
