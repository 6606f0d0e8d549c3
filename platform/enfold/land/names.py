"""Names of what plugins define: each begins with its plugin's own."""

import re


def namespace(plugin: str) -> str:
    """Return what every name that a plugin defines begins with: `acme-recist` gives `acme_recist__`."""
    return re.sub(r"[-_.]+", "_", plugin.lower()) + "__"
