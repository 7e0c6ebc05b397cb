"""Makes `tensorflow_serving.pb`, the description of the messages that `scorer.wire` speaks.

Run once for a new protocol version, in an environment of its own that has the official packages (they bring the whole
of TensorFlow, which is why nothing else here imports them):

    pip install tensorflow-serving-api==2.21.0 grpcio-health-checking
    python -m scorer.wire_build scorer/tensorflow_serving.pb

Only messages and enums that can be reached from the calls of the project are kept.
"""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet

__all__ = ["build"]

ROOTS = {
    "tensorflow_serving.apis.predict_pb2": ("PredictRequest", "PredictResponse"),
    "tensorflow_serving.apis.get_model_metadata_pb2": (
        "GetModelMetadataRequest",
        "GetModelMetadataResponse",
        "SignatureDefMap",
    ),
    "tensorflow_serving.apis.get_model_status_pb2": ("GetModelStatusRequest", "GetModelStatusResponse"),
    "grpc_health.v1.health_pb2": ("HealthCheckRequest", "HealthCheckResponse"),
}


def build() -> FileDescriptorSet:
    """The files with the reachable messages, dependencies first."""
    files: dict[str, Any] = {}
    reached: dict[str, Any] = {}
    for module, names in ROOTS.items():
        descriptors = import_module(module).DESCRIPTOR
        _add_file(descriptors, files)
        for name in names:
            _reach(descriptors.message_types_by_name[name], reached)
    kept = {kind.file.name for kind in reached.values()}
    result = FileDescriptorSet()
    for name, descriptor in files.items():
        if name in kept:
            result.file.append(_pruned(descriptor, set(reached), kept))
    return result


def _add_file(descriptor: Any, files: dict[str, Any]) -> None:
    for dependency in descriptor.dependencies:
        _add_file(dependency, files)
    files.setdefault(descriptor.name, descriptor)


def _reach(kind: Any, reached: dict[str, Any]) -> None:
    if kind.containing_type is not None:
        _reach(kind.containing_type, reached)
    if kind.full_name in reached:
        return
    reached[kind.full_name] = kind
    for field in getattr(kind, "fields", ()):
        for used in (field.message_type, field.enum_type):
            if used is not None:
                _reach(used, reached)


def _pruned(descriptor: Any, reached: set[str], kept: set[str]) -> FileDescriptorProto:
    full = FileDescriptorProto()
    descriptor.CopyToProto(full)
    prefix = f"{full.package}."
    messages = [_pruned_message(kind, prefix, reached) for kind in full.message_type if prefix + kind.name in reached]
    enums = [kind for kind in full.enum_type if prefix + kind.name in reached]
    used = set(_references(messages))
    result = FileDescriptorProto(name=full.name, package=full.package, syntax=full.syntax)
    for dependency in descriptor.dependencies:
        defined = {*dependency.message_types_by_name, *dependency.enum_types_by_name}
        if dependency.name in kept and used & {f".{dependency.package}.{name}" for name in defined}:
            result.dependency.append(dependency.name)
    result.message_type.extend(messages)
    result.enum_type.extend(enums)
    return result


def _pruned_message(message: DescriptorProto, prefix: str, reached: set[str]) -> DescriptorProto:
    result = DescriptorProto()
    result.CopyFrom(message)
    del result.nested_type[:], result.enum_type[:]
    inner = f"{prefix}{message.name}."
    result.nested_type.extend(
        _pruned_message(kind, inner, reached) for kind in message.nested_type if inner + kind.name in reached
    )
    result.enum_type.extend(kind for kind in message.enum_type if inner + kind.name in reached)
    return result


def _references(messages: list[DescriptorProto]) -> Iterator[str]:
    """The types used by these messages, nested ones cut down to what their file defines at its top."""
    for message in messages:
        for field in message.field:
            if field.type_name:
                yield field.type_name
                yield field.type_name.rpartition(".")[0]
        yield from _references(list(message.nested_type))


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(build().SerializeToString(deterministic=True))
