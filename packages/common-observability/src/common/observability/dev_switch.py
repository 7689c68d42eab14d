"""Whether the development page is on. Apart from the page, so that asking costs nothing where it is off."""

from typing import TYPE_CHECKING, Final

from common.exceptions import ConfigurationError

if TYPE_CHECKING:
    from common.core.settings import Settings

__all__ = ["VARIABLE", "is_page_on", "require_page_on"]

VARIABLE: Final = "COMMON_OBS_DEV_PAGE"
"""Set to 1 where the page is wanted, in any environment but production."""


def is_page_on(settings: "Settings") -> bool:
    """Return whether *settings* ask for the page.

    Raises:
        ConfigurationError: They do, in production; which is what a service runs in where nobody says otherwise.
    """
    is_on = settings.section("COMMON_OBS_").flag("DEV_PAGE", False)
    if is_on and settings.environment == "production":
        raise ConfigurationError(
            f"{VARIABLE} is on in production, where the development page is refused. Leave it out there; on your own "
            "machine, also set COMMON_ENVIRONMENT=development."
        )
    return is_on


def require_page_on(settings: "Settings") -> None:
    """Check that *settings* ask for the page.

    Raises:
        ConfigurationError: They do not, or in production.
    """
    if not is_page_on(settings):
        raise ConfigurationError(
            f"The development page is off. Set {VARIABLE}=1 and COMMON_ENVIRONMENT=development to see it."
        )
