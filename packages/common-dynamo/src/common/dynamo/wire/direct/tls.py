"""How servers prove who they are: TLS contexts, and the certificate authorities that are trusted.

Importing this imports ``ssl``, which a database without TLS does without.
"""

import os
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from common.exceptions import ConfigurationError

__all__ = ["configured_bundle", "tls_context"]

_VARIABLES: Final = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
"""In the order in which botocore asks them; the configuration file's ``ca_bundle`` comes between the two."""


def tls_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return what verifies the chain of a server and its host name, always, over TLS 1.2 or later.

    Args:
        ca_bundle: File of trusted certificates in PEM form, or folder of them as ``c_rehash`` makes it; ``None`` for those
            that the environment names, else those that boto3 trusts.

    Raises:
        ConfigurationError: There is no such file, or no certificate in it.
    """
    bundle = configured_bundle() if ca_bundle is None else ca_bundle
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and host name from the start
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    _trust(context, _default_bundle() if bundle is None else bundle)
    return context


def configured_bundle() -> str | None:
    """Return the bundle that the environment names; ``None`` where it names none."""
    return next((os.environ[name] for name in _VARIABLES if name in os.environ), None)


def _trust(context: ssl.SSLContext, bundle: str) -> None:
    if not bundle.strip():
        raise ConfigurationError(f"The CA bundle has an empty name. {_REMEDY}")
    try:
        if os.path.isdir(bundle):
            context.load_verify_locations(capath=bundle)
            return
        context.load_verify_locations(cafile=bundle)
    except ssl.SSLError:
        raise ConfigurationError(f"The CA bundle {bundle!r} holds no certificate in PEM form. {_REMEDY}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no path"
        raise ConfigurationError(f"The CA bundle {bundle!r} cannot be read: {reason}. {_REMEDY}") from None
    if not context.cert_store_stats()["x509"]:
        raise ConfigurationError(f"The CA bundle {bundle!r} holds revocations alone. {_REMEDY}")


_REMEDY: Final = (
    "Set ca_bundle in the configuration file, AWS_CA_BUNDLE or REQUESTS_CA_BUNDLE to a file of certificates, or none of "
    "them for those that boto3 trusts."
)


def _default_bundle() -> str:
    """Return the file that botocore trusts where nothing is configured, without importing botocore, which is dear."""
    for package in ("certifi", "botocore"):
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            return str(Path(spec.origin).with_name("cacert.pem"))
    raise ConfigurationError(f"There is no file of trusted certificates: boto3 is not installed. {_REMEDY}")
