"""Options of the client, declared once for flags and Python."""

from __future__ import annotations

from dataclasses import dataclass

from tfvs.config import Config, option, require

INPUT_MODES = ("auto", "pyramids", "crops", "images")


@dataclass(frozen=True)
class ClientOptions(Config):
    """Which model, and how to reach it."""

    server: str = option("", "HOST:PORT of TensorFlow Serving or of tfvs serve.")
    model_dir: str = option("", "Folder of a SavedModel, or of its versions, to predict in this process.", flag="model")
    model_name: str = option("default", "What the server calls the model.")
    input_mode: str = option(
        "auto", "What to send; auto takes the cheapest that the image allows.", choices=INPUT_MODES
    )
    pyramid_root: str = option(
        "", "Local folder that holds what the model's first image root holds; without it no paths are sent."
    )
    timeout_s: float = option(30.0, "Deadline of one request, all its attempts together, seconds.", above=0)
    tls_ca: str = option("", "PEM file of the authority to trust; turns TLS on.")
    tls_key: str = option("", "PEM file of the client's key, where the server verifies clients.")
    tls_certificate: str = option("", "PEM file of the client's certificate, where the server verifies clients.")
    metadata: tuple[str, ...] = option((), "KEY=VALUE sent with each request, for example a token; repeatable.")

    def __post_init__(self) -> None:
        super().__post_init__()
        given = f"server={self.server!r}, model={self.model_dir!r}"
        one = bool(self.server) != bool(self.model_dir)
        require(one, "It is not clear what shall predict", expected="either --server or --model", received=given)
        if self.server:
            require(":" in self.server, "The server has no port", expected="HOST:PORT", received=self.server)
        for pair in self.metadata:
            require("=" in pair, "Metadata cannot be sent", expected="key=value", received=pair)
        require(
            bool(self.tls_key) == bool(self.tls_certificate) and (bool(self.tls_ca) or not self.tls_key),
            "The client's certificate is not complete",
            expected="tls_ca, tls_key and tls_certificate",
            received=[self.tls_ca, self.tls_key, self.tls_certificate],
        )
