"""The addresses in the package's metadata: from the environment, so that none is written here.

HANDBOOK_REPOSITORY is the page of the repository, and HANDBOOK_BASE_URL that of the site, as in
docs/build.py. The release workflow sets both; a wheel built without them names no address.
"""

import os
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Addresses(MetadataHookInterface):
    """Give `project.urls` the addresses that are known when the package is built."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the field, empty where no address is known."""
        urls: dict[str, str] = {}
        if site := os.environ.get("HANDBOOK_BASE_URL"):
            urls["Documentation"] = site
        if repository := os.environ.get("HANDBOOK_REPOSITORY", "").rstrip("/"):
            urls["Source"] = repository
            urls["Issues"] = f"{repository}/issues"
            urls["Changelog"] = f"{repository}/blob/v{metadata['version']}/CHANGELOG.md"
        metadata["urls"] = urls
