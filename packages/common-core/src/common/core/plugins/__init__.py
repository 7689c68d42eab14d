"""Finding, loading, listing, starting and stopping plugins.

Two entry-point groups: ``common.hookspecs``, for the family alone and loaded first, and ``common.plugins``, open to
everybody. **Loading runs the code of every installed distribution that names the second group**, unless it is blocked:
an installed plugin is trusted code.
"""

from common.core.plugins._plugins import OnError, Plugins
from common.core.plugins._values import Contribution, PluginListing, PluginState

__all__ = ["Contribution", "OnError", "PluginListing", "PluginState", "Plugins"]
