"""TensorFlow's profiler over gRPC: TensorBoard or ``tf.profiler.experimental.client`` records what is computed."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf

from tfvs.server.protos import profiler_pb2
from tfvs.server.status import answered, invalid

SERVICE = "tensorflow.ProfilerService"
MAX_SECONDS = 60.0
LOOK_SECONDS = 0.05


class Profiler:
    """Records for as long as a client says, into a folder that it names: only for clients that may write there."""

    @answered
    def Profile(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Records all computation of this process; one recording at a time."""
        seconds = request.duration_ms / 1000
        if not 0 < seconds <= MAX_SECONDS:
            raise invalid(f"duration_ms must be from 1 to {MAX_SECONDS * 1000:.0f}. Received: {request.duration_ms}.")
        names = request.session_id or "session", request.host_name or "host"
        if not request.repository_root or any("/" in name or name.startswith(".") for name in names):
            raise invalid("repository_root must name a folder, session_id and host_name a folder and a file below it.")
        with tempfile.TemporaryDirectory() as folder:
            tf.profiler.experimental.start(folder)
            try:
                end = time.monotonic() + seconds
                while context.is_active() and time.monotonic() < end:
                    time.sleep(LOOK_SECONDS)
            finally:
                tf.profiler.experimental.stop()
            (recording,) = Path(folder).rglob("*.xplane.pb")
            target = os.path.join(request.repository_root, names[0])
            tf.io.gfile.makedirs(target)
            tf.io.gfile.copy(str(recording), os.path.join(target, f"{names[1]}.xplane.pb"), overwrite=True)
        return profiler_pb2.ProfileResponse()


def add_profiler(server: grpc.Server) -> None:
    """Lets a server be profiled."""
    handler = grpc.unary_unary_rpc_method_handler(
        Profiler().Profile,
        request_deserializer=profiler_pb2.ProfileRequest.FromString,
        response_serializer=profiler_pb2.ProfileResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Profile": handler})])
