"""Imports OpenVINO without its telemetry.

`import openvino` reports itself to Google Analytics from a forked process. A fork of a process in
which JAX's threads run can hang, and a library has no business to report what its user imports.
If openvino was imported before, by the user's own code, nothing changes.
"""

from __future__ import annotations

import sys

if "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules:
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] - makes its import fail; OpenVINO then has a stub
    try:
        import openvino  # noqa: F401
    finally:
        del sys.modules["openvino_telemetry"]
