"""What a reader meets around the built sites: entry page, 404 page, search index, sitemap.

`finish` runs once, after the sites of all languages lie beside each other in one folder.
"""

from publishing.entry import finish

__all__ = ["finish"]
