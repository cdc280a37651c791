#!/usr/bin/env python3
"""Reads one secret over gRPC and prints it: grpc_get.py ADDRESS MOUNT PATH, with the token in VAULT_TOKEN.

See tools/coffer_grpc.py for what it needs.
"""
import os
import sys

import grpc

import coffer_grpc


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: grpc_get.py ADDRESS MOUNT PATH")
    address, mount, path = sys.argv[1:]
    messages, services = coffer_grpc.load("kv")
    with grpc.insecure_channel(address) as channel:
        try:
            answer = services.KVStub(channel).Get(messages.KVGetRequest(mount=mount, path=path),
                                                  metadata=[("x-vault-token", os.environ.get("VAULT_TOKEN", ""))], timeout=10)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    print(answer.data_json)


if __name__ == "__main__":
    main()
