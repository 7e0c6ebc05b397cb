"""The files for TensorFlow Serving, parsed with its messages as pythie-serving ships them: parse_configs.py FOLDER.

Prints JSON: for each file, what it says.
"""

import json
import sys
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.json_format import MessageToDict
from pythie_serving.tensorflow_proto.tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig
from pythie_serving.tensorflow_proto.tensorflow_serving.config.monitoring_config_pb2 import MonitoringConfig
from pythie_serving.tensorflow_proto.tensorflow_serving.servables.tensorflow.session_bundle_config_pb2 import (
    BatchingParameters,
)

KINDS = {
    "models.config": ModelServerConfig,
    "monitoring.config": MonitoringConfig,
    "batching_parameters.txt": BatchingParameters,
    "batching_parameters_gpu.txt": BatchingParameters,
}


def main(folder: Path) -> None:
    parsed = {file.name: text_format.Parse(file.read_text(), KINDS[file.name]()) for file in sorted(folder.iterdir())}
    json.dump(
        {name: MessageToDict(found, preserving_proto_field_name=True) for name, found in parsed.items()}, sys.stdout
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
