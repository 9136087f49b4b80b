"""OpenVINO as we import it: without the package that tells its maker about model conversions, as minivec sends nothing.

Import late: this loads openvino.
"""

from __future__ import annotations

import sys
from typing import Any, cast

# An entry of None makes that import fail, upon which OpenVINO takes its own empty stand-in.
cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)

import openvino as ov  # noqa: E402
from openvino import opset13 as op  # noqa: E402

__all__ = ["op", "ov"]
