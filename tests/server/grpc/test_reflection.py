"""A client that knows no message of TensorFlow Serving asks the server for them."""

from __future__ import annotations

import threading

import grpc
import numpy as np
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.server.toy import request
from tfvs.server.grpc import reflection

SERVICES = {
    "tensorflow.serving.PredictionService",
    "tensorflow.serving.ModelService",
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
}


def test_the_services_describe_themselves(serve, toy_model):
    server = serve(toy_model)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == SERVICES
        pool = DescriptorPool(database)
        service = pool.FindServiceByName("tensorflow.serving.PredictionService")
        method = service.methods_by_name["Predict"]
        factory = message_factory.MessageFactory(pool)
        sent, received = factory.GetPrototype(method.input_type), factory.GetPrototype(method.output_type)
        call = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=sent.SerializeToString,
            response_deserializer=received.FromString,
        )
        wanted = request(x=np.ones([1, 3], np.float32))
        answer = call(sent.FromString(wanted.SerializeToString()), timeout=30)
        assert answer.outputs["total"].float_val[:] == [6.0]


def test_version_1_answers_as_its_predecessor(serve, toy_model):
    server = serve(toy_model)
    ask = reflection_pb2.ServerReflectionRequest(file_containing_symbol="tensorflow.serving.PredictionService")
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        (older,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]), timeout=30)
        call = channel.stream_stream(
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (newer,) = call(iter([ask]), timeout=30)
    assert newer == older
    assert newer.file_descriptor_response.file_descriptor_proto


def test_a_stream_that_stays_open_does_not_keep_a_thread(serve, stub, toy_model, monkeypatch):
    monkeypatch.setattr(reflection, "MAX_STREAM_SECONDS", 0.5)
    server = serve(toy_model, grpc_max_threads=1)
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        ended = threading.Event()

        def for_ever():
            yield reflection_pb2.ServerReflectionRequest(list_services="")
            ended.wait(60)

        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(for_ever())
        assert next(stream).list_services_response.service
        assert stub(server).Predict(request(x=np.ones([1, 3], np.float32)), timeout=10).outputs
        with pytest.raises(grpc.RpcError) as caught:
            next(stream)
        assert caught.value.code() == grpc.StatusCode.CANCELLED
        ended.set()
