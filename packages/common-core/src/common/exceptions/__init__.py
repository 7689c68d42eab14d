"""The one error hierarchy of the family.

::

    CommonError                    root: code, status, retryable, public_message
    ├── InvalidInput        422    the caller's values are wrong; nothing was written
    │   └── InvalidAmount   422    an amount that is not exact, not positive or too fine
    └── ConfigurationError  500    the service is put together wrongly; never the client's fault
        ├── MissingPart            a distribution or extra is not installed
        ├── PluginLoadError        one or more plugins did not load
        └── PluginStartError       a plugin's start-up raised

``common.dynamo.exceptions`` and ``common.auth.exceptions`` continue the tree below :class:`CommonError`.
"""

from common.exceptions._errors import (
    CommonError,
    ConfigurationError,
    FieldError,
    InvalidAmount,
    InvalidInput,
    MissingPart,
    PluginFailure,
    PluginLoadError,
    PluginStartError,
)
from common.exceptions._problem import PROBLEM_CONTENT_TYPE, Problem, to_problem

__all__ = [
    "PROBLEM_CONTENT_TYPE",
    "CommonError",
    "ConfigurationError",
    "FieldError",
    "InvalidAmount",
    "InvalidInput",
    "MissingPart",
    "PluginFailure",
    "PluginLoadError",
    "PluginStartError",
    "Problem",
    "to_problem",
]

for _error in (CommonError, InvalidInput, InvalidAmount, ConfigurationError, MissingPart, PluginLoadError):
    # Tracebacks and logs name the door, where the class is documented and imported from.
    _error.__module__ = __name__
del _error
