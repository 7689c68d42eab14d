"""The health endpoints behind API Gateway or a Function URL, and by direct invocation."""

from collections.abc import Callable, Mapping
from typing import Any

from common.observability.health.routes import HealthAnswer, respond_sync
from common.observability.health.runner import HealthRequest, HealthRunner

__all__ = ["lambda_handler"]

_BY_GROUP = {"liveness": "/livez", "readiness": "/readyz", "startup": "/startupz"}


def lambda_handler(runner: HealthRunner) -> Callable[[Mapping[str, Any], Any], dict[str, Any]]:
    """Return a handler for AWS Lambda.

    It understands events of API Gateway REST APIs (payload 1.0), HTTP APIs and Function URLs (payload 2.0), and the
    direct invocation ``{"health": "readiness"}``. Importing and building is start-up on Lambda, so call
    ``runner.start()`` once, outside of the handler.
    """

    def handle(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        answer = respond_sync(runner, _request(event))
        return _response(answer)

    return handle


def _request(event: Mapping[str, Any]) -> HealthRequest:
    if "health" in event:
        group = str(event["health"])
        return HealthRequest(_BY_GROUP.get(group, f"/health/{group}"))
    headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    http = event.get("requestContext", {}).get("http", {})
    if http:
        path, stage = str(event.get("rawPath", "")), event["requestContext"].get("stage", "$default")
        # A named stage of an HTTP API is part of the raw path.
        path = path.removeprefix(f"/{stage}") if stage != "$default" else path
        return HealthRequest(path, str(http.get("method", "GET")), headers)
    return HealthRequest(str(event.get("path", "")), str(event.get("httpMethod", "GET")), headers)


def _response(answer: HealthAnswer) -> dict[str, Any]:
    return {
        "statusCode": answer.code,
        "headers": dict(answer.headers),
        "body": answer.body.decode(),
        "isBase64Encoded": False,
    }
