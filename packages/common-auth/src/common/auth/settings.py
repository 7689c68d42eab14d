"""What the environment says about passwords: the variables ``COMMON_AUTH_…``."""

import base64
import binascii
from dataclasses import dataclass, field
from typing import Final, Literal

from common.auth.exceptions import ConfigurationError
from common.auth.security.hashing_pool import HashingPool
from common.auth.security.password_format import Normalisation
from common.auth.security.password_manager import PasswordManager
from common.auth.security.password_policy import PasswordPolicy
from common.auth.security.peppers import PepperRing
from common.auth.security.secrets import SecretBytes
from common.core.settings import Section, Settings

__all__ = ["DEVELOPMENT", "PREFIX", "PasswordSettings", "StoreSettings"]

PREFIX: Final = "COMMON_AUTH_"
DEVELOPMENT: Final = frozenset({"development", "dev", "local", "test"})
"""The environments in which passwords may be hashed without a pepper."""
_UNNAMED: Final = Settings().service_name


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSettings:
    """How the environment wants passwords hashed.

    ==============================  =====================================================  ===========
    variable                        meaning                                                default
    ==============================  =====================================================  ===========
    COMMON_AUTH_PASSWORDS           ``off`` where the service keeps no passwords           ``on``
    COMMON_AUTH_PEPPERS             ``id:base64,id:base64``, at least 32 bytes each        none
    COMMON_AUTH_PEPPER_ACTIVE       the id for new hashes                                  the only one
    COMMON_AUTH_ALLOW_UNPEPPERED    hash without pepper outside development too            ``false``
    COMMON_AUTH_BCRYPT_COST         10 to 15; see ``common auth calibrate``                12
    COMMON_AUTH_HASHING_SLOTS       how many passwords are hashed at once                  cores, ≤ 4
    COMMON_AUTH_NORMALISATION       ``none``, ``nfc`` or ``nfkc``                          ``nfc``
    COMMON_AUTH_LEGACY_TRUNCATION   ``reject`` or ``truncate``                             ``reject``
    COMMON_AUTH_CONTEXT             words no password may consist of, beside the           none
                                    service's name
    ==============================  =====================================================  ===========
    """

    enabled: bool = True
    peppers: PepperRing | None = None
    allow_unpeppered: bool = False
    cost: int = 12
    slots: int | None = None
    normalisation: Normalisation = Normalisation.NFC
    legacy_truncation: Literal["reject", "truncate"] = "reject"
    context: tuple[str, ...] = field(default=())

    @classmethod
    def of(cls, settings: Settings) -> "PasswordSettings":
        """Read them.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        section = settings.section(PREFIX)
        truncation = section.choice("LEGACY_TRUNCATION", ("reject", "truncate"), "reject")
        named = () if settings.service_name == _UNNAMED else (settings.service_name,)
        return cls(
            enabled=section.flag("PASSWORDS", True),
            peppers=_peppers(section),
            allow_unpeppered=section.flag("ALLOW_UNPEPPERED", False) or settings.environment.lower() in DEVELOPMENT,
            cost=section.integer("BCRYPT_COST", 12, minimum=10, maximum=15),
            slots=section.integer("HASHING_SLOTS", None, minimum=1, maximum=64),
            normalisation=Normalisation(section.choice("NORMALISATION", tuple(Normalisation), Normalisation.NFC)),
            legacy_truncation="truncate" if truncation == "truncate" else "reject",
            context=(*named, *section.items("CONTEXT", ())),
        )

    @property
    def may_hash(self) -> bool:
        """Whether there is a pepper, or it is permitted to do without."""
        return self.peppers is not None or self.allow_unpeppered

    def manager(self) -> PasswordManager:
        """Make the password manager that these settings describe.

        Raises:
            ConfigurationError: There is no pepper, and it is not permitted to do without.
        """
        return PasswordManager(
            peppers=self.peppers,
            cost=self.cost,
            policy=PasswordPolicy(context=self.context),
            pool=HashingPool(self.slots),
            normalisation=self.normalisation,
            legacy_truncation=self.legacy_truncation,
            allow_unpeppered=self.allow_unpeppered,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the environment says that sessions and revocations are.

    ==============================  =====================================================  ===========
    variable                        meaning                                                default
    ==============================  =====================================================  ===========
    COMMON_AUTH_STORES              ``table`` where they are in the service's tables:      ``none``
                                    the health check ``auth.stores`` then asks for them
    ==============================  =====================================================  ===========
    """

    in_table: bool = False

    @classmethod
    def of(cls, settings: Settings) -> "StoreSettings":
        """Read them.

        Raises:
            ConfigurationError: A variable is malformed; the message names it and shows no value.
        """
        return cls(in_table=settings.section(PREFIX).choice("STORES", ("none", "table"), "none") == "table")


def _peppers(section: Section) -> PepperRing | None:
    secret = section.secret("PEPPERS", None)
    if secret is None:
        return None
    pairs = [part.partition(":") for part in secret.reveal().replace(" ", "").split(",") if part]
    peppers = {name: _pepper(text) for name, _, text in pairs}
    del pairs
    if len(peppers) != secret.reveal().count(":"):
        raise _malformed_peppers()
    active = section.text("PEPPER_ACTIVE", next(iter(peppers)) if len(peppers) == 1 else None)
    if active is None:
        raise ConfigurationError(
            f"{PREFIX}PEPPER_ACTIVE is not set. Name the one of {', '.join(peppers)} that new hashes take.",
            reason="no_active_pepper",
        )
    return PepperRing(peppers, active=active)


def _pepper(text: str) -> SecretBytes:
    sealed = SecretBytes(text.replace("-", "+").replace("_", "/").encode("ascii", "replace"))
    del text
    padding = b"=" * (-len(sealed) % 4)
    octets = None
    try:
        octets = SecretBytes(base64.b64decode(sealed.reveal() + padding, validate=True))
    except binascii.Error:
        octets = None
    if octets is None:
        raise _malformed_peppers()
    return octets


def _malformed_peppers() -> ConfigurationError:
    return ConfigurationError(
        f"{PREFIX}PEPPERS is malformed. Write id:base64, and separate several by commas.", reason="malformed_peppers"
    )
