"""Every call of every gRPC service, taken from the compiled descriptions: a new one is covered without anyone remembering it."""
import importlib
import re
import sys

import harness

sys.path.insert(0, str(harness.ROOT / "tools"))
import coffer_grpc  # noqa: E402
import grpc  # noqa: E402

# Errors that name the path that was asked for, as they do elsewhere; of a typed call fields make the path.
NAMED = re.compile(r"no handler for route .*?route entry not found|role \W{0,3}canary\w+", re.S)
ADDRESS = "127.0.0.1:8210"
VERBS = {"GET": "Read", "POST": "Write", "LIST": "List", "SCAN": "Scan", "DELETE": "Delete", "PATCH": "Patch"}


class Call:
    """One method: `request()` makes an empty message, `fields()` names its fields as descriptors."""

    def __init__(self, messages, service, method):
        self.name = f"{service.full_name}/{method.name}"
        self.service, self.method = service.name, method
        self.messages = messages
        self.streams = method.server_streaming

    def request(self):
        return getattr(self.messages, self.method.input_type.name)()

    def fields(self):
        return self.method.input_type.fields


def calls():
    out = []
    for path in sorted((harness.ROOT / "proto/coffer/v1").glob("*.proto")):
        messages, _ = coffer_grpc.load(path.stem)
        for service in messages.DESCRIPTOR.services_by_name.values():
            out += [Call(messages, service, method) for method in service.methods]
    return out


def is_map(field):
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def repeated(field):
    return field.label == field.LABEL_REPEATED


def put(message, field, value):
    """Sets `field`; a list for a repeated one, a dictionary for a map. False: it takes no such value."""
    try:
        if is_map(field):
            getattr(message, field.name).update(value)
        elif repeated(field):
            if not isinstance(value, list):
                return False
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)
        return True
    except (TypeError, ValueError, AttributeError):
        return False


class Connection:
    """Calls over one channel; errors are given back and not raised."""

    def __init__(self, address=ADDRESS):
        self.channel = grpc.insecure_channel(address)
        grpc.channel_ready_future(self.channel).result(timeout=20)

    def close(self):
        self.channel.close()

    def make(self, call, message, token=None, timeout=20):
        """(code, details, trailers, answer or None). Of a stream the first answer counts."""
        module = importlib.import_module(f"{call.messages.__name__}_grpc")
        method = getattr(getattr(module, call.service + "Stub")(self.channel), call.method.name)
        metadata = [("x-vault-token", token)] if token else []
        try:
            if call.streams:
                stream = method(message, metadata=metadata, timeout=1)
                try:
                    answer = next(iter(stream), None)
                finally:
                    stream.cancel()
            else:
                answer = method(message, metadata=metadata, timeout=timeout)
            return grpc.StatusCode.OK, "", "", answer
        except grpc.RpcError as error:
            trailers = "\n".join(f"{key}: {value!r}" for key, value in error.trailing_metadata() or ())
            return error.code(), error.details() or "", trailers, None

    def logical(self, verb, path, token=None, data=None, parameters=None):
        """(HTTP's status, text of the answer or of the error with all that came with it); status 0: no answer."""
        messages, stubs = coffer_grpc.load("logical")
        method = VERBS[verb]
        request = getattr(messages, ("List" if method == "Scan" else method) + "Request")(path=path)
        if data is not None and method in ("Write", "Patch"):
            request.data_json = data
        for key, value in (parameters or {}).items():
            request.parameters[key] = value
        try:
            answer = getattr(stubs.LogicalStub(self.channel), method)(request, metadata=[("x-vault-token", token)] if token else [], timeout=20)
            return answer.http_status, answer.data_json
        except grpc.RpcError as error:
            told = coffer_grpc.error_of(error)
            trailers = "\n".join(f"{key}: {value!r}" for key, value in error.trailing_metadata() or ())
            return (told.http_status if told else 0), f"{error.code().name} {error.details()}\n{trailers}"
