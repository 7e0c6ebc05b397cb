"""benchmarks/ is not in the wheel. It alone is taken from the source tree, which must not hide what the wheel has."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

if "benchmarks" not in sys.modules:
    folder = Path(__file__).parents[3] / "benchmarks"
    spec = spec_from_file_location("benchmarks", folder / "__init__.py", submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["benchmarks"] = module
    spec.loader.exec_module(module)
