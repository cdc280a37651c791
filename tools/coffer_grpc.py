"""Python classes of proto/coffer/v1, compiled when first asked for: messages, services = load("kv").

Needs Debian's protobuf-compiler, protobuf-compiler-grpc, python3-protobuf and python3-grpcio.
"""
import atexit
import importlib
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
_folder = None


def _compile():
    global _folder
    if _folder is None:
        _folder = tempfile.mkdtemp(prefix="coffer-grpc-")
        atexit.register(shutil.rmtree, _folder, ignore_errors=True)
        files = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").rglob("*.proto"))
        subprocess.run(["protoc", f"--proto_path={ROOT / 'proto'}", f"--python_out={_folder}", f"--grpc_python_out={_folder}",
                        "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *files], check=True)
        sys.path.insert(0, _folder)


def load(name):
    """The modules of coffer/v1/NAME.proto: its messages, and its stubs."""
    _compile()
    return importlib.import_module(f"coffer.v1.{name}_pb2"), importlib.import_module(f"coffer.v1.{name}_pb2_grpc")


def error_of(error):
    """The coffer.v1.Error that a grpc.RpcError carries, or None when it has none."""
    messages, _ = load("logical")
    packed = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if packed is None:
        return None
    status = messages.StatusDetails.FromString(packed)
    assert status.code == error.code().value[0], status
    for detail in status.details:
        found = messages.Error()
        if detail.Unpack(found):
            return found
    return None
