#!/usr/bin/env python3
"""Reads one secret over gRPC and prints it: grpc_get.py ADDRESS MOUNT PATH, with the token in VAULT_TOKEN.

Needs Debian's python3-grpcio and python3-grpc-tools, which compile the .proto files when they are imported.
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "proto"))

import grpc  # noqa: E402


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: grpc_get.py ADDRESS MOUNT PATH")
    address, mount, path = sys.argv[1:]
    messages, services = grpc.protos_and_services("coffer/v1/kv.proto")
    with grpc.insecure_channel(address) as channel:
        try:
            answer = services.KVStub(channel).Get(messages.KVGetRequest(mount=mount, path=path),
                                                  metadata=[("x-vault-token", os.environ.get("VAULT_TOKEN", ""))], timeout=10)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    print(answer.data_json)


if __name__ == "__main__":
    main()
