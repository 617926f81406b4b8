"""TensorFlow's own client records what the server computes, where that is allowed."""

from __future__ import annotations

import threading

import grpc
import pytest
import tensorflow as tf

from tests.server.calls import factor
from tfvs.server.protos import profiler_pb2


def profile(server, **request) -> profiler_pb2.ProfileResponse:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        call = channel.unary_unary(
            "/tensorflow.ProfilerService/Profile",
            request_serializer=profiler_pb2.ProfileRequest.SerializeToString,
            response_deserializer=profiler_pb2.ProfileResponse.FromString,
        )
        return call(profiler_pb2.ProfileRequest(**request), timeout=60)


def test_a_recording_lands_where_tensorboard_looks(serve, stub, toy_model, tmp_path):
    server = serve(toy_model, enable_profiler=True)
    client, ended = stub(server), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            factor(client)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        profile(server, duration_ms=200, repository_root=str(tmp_path), session_id="first", host_name="here")
        tf.profiler.experimental.client.trace(f"grpc://127.0.0.1:{server.port}", str(tmp_path / "client"), 200)
    finally:
        ended.set()
        asking.join()
    assert (tmp_path / "first" / "here.xplane.pb").stat().st_size > 1000
    assert list(tmp_path.glob("client/plugins/profile/*/*.xplane.pb"))
    outside = {"duration_ms": 10, "repository_root": str(tmp_path), "session_id": "../x"}
    for request in ({"duration_ms": 0, "repository_root": "x"}, {"duration_ms": 10}, {"duration_ms": 10**6}, outside):
        with pytest.raises(grpc.RpcError) as caught:
            profile(server, **request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_it_is_off_unless_asked_for(serve, toy_model, tmp_path):
    with pytest.raises(grpc.RpcError) as caught:
        profile(serve(toy_model), duration_ms=10, repository_root=str(tmp_path))
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert not list(tmp_path.iterdir())
