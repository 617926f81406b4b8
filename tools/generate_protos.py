"""Generates the Python code of all protos of tfvs; needs protoc 3.21 (``grpcio-tools==1.49.1`` has it).

What newer compilers write does not run with the protobuf 3.20 that TFX 1.16 wants; this does, and with newer ones.
"""

from __future__ import annotations

from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Writes ``*_pb2.py`` beside each ``.proto``."""
    protos = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tfvs").rglob("*.proto"))
    include = Path(protoc.__file__).parent / "_proto"
    code = protoc.main(["protoc", f"--proto_path={ROOT}", f"--proto_path={include}", f"--python_out={ROOT}", *protos])
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    main()
