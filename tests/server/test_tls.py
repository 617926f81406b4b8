from __future__ import annotations

import datetime
import ipaddress
import json
from pathlib import Path

import grpc
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tensorflow_serving.apis import prediction_service_pb2_grpc

from tests.server.calls import factor
from tests.server.toy import request
from tfvs.errors import ConfigError


def certificate(folder: Path) -> tuple[str, str]:
    """Key and self-signed certificate of 127.0.0.1, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    text = built.public_bytes(serialization.Encoding.PEM).decode()
    (folder / "ca.pem").write_text(text)
    return pem, text


def test_tls_and_config_files(serve, toy_model, tmp_path):
    key, cert = certificate(tmp_path)
    ssl = tmp_path / "ssl.txt"
    ssl.write_text(f"server_key: {json.dumps(key)}\nserver_cert: {json.dumps(cert)}\nclient_verify: false\n")
    batching = tmp_path / "batching.txt"
    batching.write_text("max_batch_size { value: 4 }\nmax_enqueued_batches { value: 9 }\n")
    server = serve(toy_model, ssl_config_file=str(ssl), enable_batching=True, batching_parameters_file=str(batching))
    credentials = grpc.ssl_channel_credentials(cert.encode())
    with grpc.secure_channel(f"127.0.0.1:{server.port}", credentials) as channel:
        client = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        assert factor(client) == 2.0
        with pytest.raises(grpc.RpcError) as caught:
            client.Predict(request(x=np.ones([5, 3], np.float32)), timeout=30)
        assert "Task size 5 is larger than maximum input batch size 4" in caught.value.details()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel, pytest.raises(grpc.RpcError):
        factor(prediction_service_pb2_grpc.PredictionServiceStub(channel), timeout=5)
    ssl.write_text("server_key: 'only'")
    with pytest.raises(ConfigError, match="server_cert"):
        serve(toy_model, ssl_config_file=str(ssl))
    batching.write_text("no_such_field: 3")
    with pytest.raises(ConfigError, match="Error parsing"):
        serve(toy_model, enable_batching=True, batching_parameters_file=str(batching))
