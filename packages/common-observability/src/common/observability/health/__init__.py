"""Health: checks run in time, whatever they do, and answers for orchestrators, people and load balancers.

Further public modules: :mod:`~common.observability.health.fastapi` (with the extra ``[fastapi]``).
"""

from common.observability.health.aggregation import Aggregator, Finding, worst
from common.observability.health.app import HealthApp
from common.observability.health.aws_lambda import lambda_handler
from common.observability.health.execution import Clocks
from common.observability.health.lifecycle import Lifecycle, State
from common.observability.health.report import Level, Report, ServiceDescription
from common.observability.health.runner import CheckFunction, HealthRequest, HealthRunner
from common.observability.health.transitions import Listener, Transition, owners_of_checks

__all__ = [
    "Aggregator",
    "CheckFunction",
    "Clocks",
    "Finding",
    "HealthApp",
    "HealthRequest",
    "HealthRunner",
    "Level",
    "Lifecycle",
    "Listener",
    "Report",
    "ServiceDescription",
    "State",
    "Transition",
    "lambda_handler",
    "owners_of_checks",
    "worst",
]
