"""structlog, loaded without rich, which it uses for tracebacks that are not shown here: no server waits for that."""

from __future__ import annotations

import sys
from typing import Any, cast

_modules = cast("dict[str, Any]", sys.modules)
_is_absent = "rich" not in _modules
if _is_absent:
    # Whoever imports it now is told that it is not installed; structlog goes without it then.
    _modules["rich"] = None
try:
    import structlog  # noqa: TID251 (for the one place that logs)
    from structlog.stdlib import ProcessorFormatter  # noqa: TID251
finally:
    if _is_absent:
        del _modules["rich"]

__all__ = ["ProcessorFormatter", "structlog"]
