"""TLS material that cannot be used: a sentence and a code each, and never a piece of the key."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.server.test_tls import certificate
from tfvs.errors import ConfigError
from tfvs.server.text_configs import read_credentials


def test_what_is_wrong_with_tls_material_is_said_and_not_shown(tmp_path):
    key, cert = certificate(tmp_path)
    other, _ = certificate(tmp_path)
    loaded = load_pem_private_key(key.encode(), None)
    encryption = serialization.BestAvailableEncryption(b"password")
    kind = serialization.PrivateFormat.PKCS8
    encrypted = loaded.private_bytes(serialization.Encoding.PEM, kind, encryption).decode()
    torn = key[: len(key) // 2] + key[len(key) // 2 + 10 :]
    cases = {
        "not complete": (key, "", "", False),
        "server_cert is no certificate": (key, cert.replace("M", "N", 5), "", False),
        "server_key is not the key of": (other, cert, "", False),
        "server_key is no private key": (torn, cert, "", False),
        "or an encrypted one": (encrypted, cert, "", False),
        "client_verify is given without custom_ca": (key, cert, "", True),
        "custom_ca is no certificate": (key, cert, "/etc/ca.pem", True),
    }
    ssl = tmp_path / "ssl.txt"
    for sentence, (server_key, server_cert, custom_ca, verify) in cases.items():
        fields = {"server_key": server_key, "server_cert": server_cert, "custom_ca": custom_ca}
        ssl.write_text("\n".join(f"{name}: {json.dumps(text)}" for name, text in fields.items()))
        with ssl.open("a") as file:
            file.write(f"\nclient_verify: {json.dumps(verify)}\n")
        with pytest.raises(ConfigError, match=sentence) as caught:
            read_credentials(str(ssl))
        assert caught.value.exit_code == 2
        for line in [*key.splitlines(), *encrypted.splitlines()]:
            assert line not in str(caught.value)


def test_a_configuration_that_cannot_be_parsed_shows_nothing_of_it(tmp_path):
    key, cert = certificate(tmp_path)
    ssl = tmp_path / "ssl.txt"
    body = key.splitlines()[1]
    for text in (f'server_key: "{key}"', f"server_key: {body}", f'server_key: "{body}', f"{body}: 1"):
        ssl.write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_credentials(str(ssl))
        assert body[:8] not in str(caught.value)
    ssl.write_bytes(b'server_key: "\xff\xfe"')
    with pytest.raises(ConfigError, match="UTF-8"):
        read_credentials(str(ssl))
    ssl.write_text(f"server_key: {json.dumps(key)}\nserver_cert: {json.dumps(cert)}\n")
    assert read_credentials(str(ssl)) is not None
