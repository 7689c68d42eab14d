"""What the environment says about the audit trail: the variables ``COMMON_AUTH_AUDIT_…``."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from common.auth.exceptions import ConfigurationError
from common.auth.security.audit_anchorer import Anchoring
from common.auth.security.audit_logger import AuditLogger
from common.auth.security.audit_sinks import AnchorFile, JsonLinesSink, LoggingSink
from common.auth.security.key_strength import require_strong_secret
from common.auth.security.keys import SigningKey
from common.auth.security.redaction import Redactor
from common.auth.security.secrets import SecretBytes
from common.auth.security.subject_keys import FileSubjectKeys, SubjectKeys
from common.core.audit import AuditSink
from common.core.hookspecs import AUDIT_SINKS
from common.core.plugins import Plugins
from common.core.settings import Section, Settings

__all__ = ["PREFIX", "AuditSettings", "audit_logger", "owners_of_sinks"]

PREFIX: Final = "COMMON_AUTH_AUDIT_"
_MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings:
    """What the environment says about the trail: its sinks, its keys and its anchors.

    ==============================  =====================================================  ===========
    variable                        meaning                                                default
    ==============================  =====================================================  ===========
    COMMON_AUTH_AUDIT_FILE          path of a file of JSON lines; ``{pid}`` stands for     none
                                    the process id
    COMMON_AUTH_AUDIT_MAX_BYTES     size at which the file is renamed and begun anew       100 MiB
    COMMON_AUTH_AUDIT_KEEP          how many renamed files are kept                        all
    COMMON_AUTH_AUDIT_LOGGING       also write to the logger ``common.audit``              ``false``
    COMMON_AUTH_AUDIT_TABLE         also write to the table of the first database that     ``false``
                                    the app provides; needs the extra ``[dynamo]``
    COMMON_AUTH_AUDIT_TABLE_DAYS    days after which the table may delete a record         never
    COMMON_AUTH_AUDIT_FILE_DAYS     days after which files of records are deleted          never
    COMMON_AUTH_AUDIT_SYNCHRONISE   ``false``: flushing leaves records to the machine's    ``true``
                                    operating system
    COMMON_AUTH_AUDIT_KEY           base64, at least 32 bytes: keys the hashes of          random
                                    session ids, token ids and unproven user names
    COMMON_AUTH_AUDIT_ANCHOR_FILE   path of a file of anchors; ``{pid}`` as above          none
    COMMON_AUTH_AUDIT_ANCHOR_KEY    the Ed25519 key that signs them: PEM or a JWK          none
    COMMON_AUTH_AUDIT_ANCHOR_KEYS   path of the public keys, for ``common audit verify``:  none
                                    PEM or a JWK set
    COMMON_AUTH_AUDIT_SUBJECT_KEYS  folder of the keys of persons: what tells of one is    none
                                    stored sealed, and can be erased
    COMMON_AUTH_AUDIT_MAC_KEY       base64, at least 32 bytes: each line gets a MAC        none
    ==============================  =====================================================  ===========
    """

    file: str | None = None
    max_bytes: int = 100 * _MEBIBYTE
    keep: int | None = None
    logging: bool = False
    table: bool = False
    table_days: int | None = None
    file_days: int | None = None
    synchronise: bool = True
    key: SecretBytes | None = None
    anchor_file: str | None = None
    anchor_key: SigningKey | None = None
    anchor_keys: str | None = None
    mac_key: SecretBytes | None = None
    subject_keys: SubjectKeys | None = None

    @classmethod
    def of(cls, settings: Settings) -> "AuditSettings":
        """Read them.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        section = settings.section(PREFIX)
        return cls(
            file=section.text("FILE", None),
            max_bytes=section.integer("MAX_BYTES", 100 * _MEBIBYTE, minimum=64 * 1024),
            keep=section.integer("KEEP", None, minimum=1),
            logging=section.flag("LOGGING", False),
            table=section.flag("TABLE", False),
            table_days=section.integer("TABLE_DAYS", None, minimum=1),
            file_days=section.integer("FILE_DAYS", None, minimum=1),
            synchronise=section.flag("SYNCHRONISE", True),
            key=_secret(section, "KEY"),
            anchor_file=section.text("ANCHOR_FILE", None),
            anchor_key=_signing_key(section),
            anchor_keys=section.text("ANCHOR_KEYS", None),
            mac_key=_secret(section, "MAC_KEY"),
            subject_keys=FileSubjectKeys(folder) if (folder := section.text("SUBJECT_KEYS", None)) else None,
        )

    def sinks(self) -> tuple[AuditSink, ...]:
        """Make the sinks; none of them opens anything yet.

        Raises:
            MissingPart: A table is wanted, and the extra ``[dynamo]`` is not installed.
        """
        sinks: list[AuditSink] = []
        if self.file is not None:
            sinks.append(
                JsonLinesSink(
                    self.file,
                    max_bytes=self.max_bytes,
                    keep=self.keep,
                    retention=None if self.file_days is None else timedelta(days=self.file_days),
                    synchronise=self.synchronise,
                )
            )
        if self.logging:
            sinks.append(LoggingSink())
        if self.table:
            from common.auth.dynamo.audit_table import AuditTable  # the extra, for services that ask for it

            days = None if self.table_days is None else timedelta(days=self.table_days)
            sinks.append(AuditTable(retention=days))
        return tuple(sinks)

    def anchoring(self) -> Anchoring | None:
        """Make what anchors the trail; ``None`` where no file is named for anchors.

        Raises:
            ConfigurationError: There is a file and no key that signs, or a key and no file.
        """
        if self.anchor_file is None and self.anchor_key is None:
            return None
        if self.anchor_file is None or self.anchor_key is None:
            raise ConfigurationError(
                f"Anchors need both {PREFIX}ANCHOR_FILE and {PREFIX}ANCHOR_KEY. Set the one that is missing.",
                reason="half_an_anchoring",
            )
        return Anchoring(sink=AnchorFile(self.anchor_file), keys=self.anchor_key, mac_key=self.mac_key)

    def pseudonym(self, identifier: str) -> str:
        """Return what the trail stores in place of *identifier*, by the key of these settings.

        Raises:
            ConfigurationError: There is no key.
        """
        if self.key is None:
            raise ConfigurationError(
                f"{PREFIX}KEY is not set, so that hashes cannot be compared.", reason="no_audit_key"
            )
        return Redactor(self.key).pseudonym(identifier)


def audit_logger(settings: Settings, plugins: Plugins, **options: Any) -> AuditLogger:
    """Make the audit logger that the environment and the plugins describe; *options* are further ones of the logger.

    >>> settings = Settings.from_environment({"COMMON_SERVICE_NAME": "orders", "COMMON_AUTH_AUDIT_LOGGING": "1"})
    >>> plugins = Plugins()
    >>> plugins.load(settings, only=())
    >>> audit_logger(settings, plugins).close().complete
    True

    Raises:
        ConfigurationError: A variable is malformed, or an option cannot be used.
    """
    wanted = AuditSettings.of(settings)
    described: dict[str, Any] = {
        "service": settings.service_name,
        "owners": owners_of_sinks(plugins),
        "key": wanted.key,
        "anchoring": wanted.anchoring(),
        "subject_keys": wanted.subject_keys,
    }
    return AuditLogger(plugins.audit_sinks(), **{**described, **options})


def owners_of_sinks(plugins: Plugins) -> Mapping[str, str]:
    """Return the name of the plugin that contributed each sink, by the sink's name: for ``AuditLogger(owners=…)``."""
    return {found.value.name: found.plugin for found in plugins.contributions(AUDIT_SINKS)}


def _secret(section: Section, name: str) -> SecretBytes | None:
    text = section.secret(name, None)
    if text is None:
        return None
    octets = None
    with suppress(ValueError):  # it may quote the text, so ours is raised without it
        octets = SecretBytes(base64.b64decode(text.reveal(), validate=True))
    if octets is None:
        raise ConfigurationError(f"{PREFIX}{name} is not base64.", reason="malformed_key")
    require_strong_secret(octets, at_least=32, what=f"{PREFIX}{name}")
    return octets


def _signing_key(section: Section) -> SigningKey | None:
    text = section.secret("ANCHOR_KEY", None)
    if text is None:
        return None
    if not text.reveal().startswith("{"):
        # An environment file keeps no line ends, so that they may be written as backslash and n.
        return SigningKey.from_pem(text.reveal().replace("\\n", "\n"), alg="EdDSA")
    members = None
    with suppress(ValueError):
        members = json.loads(text.reveal())
    if not isinstance(members, dict):
        raise ConfigurationError(f"{PREFIX}ANCHOR_KEY is neither PEM nor a JWK.", reason="malformed_key")
    return SigningKey.from_jwk(members, alg="EdDSA")
