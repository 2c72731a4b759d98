"""The implementation guide for people and for other servers: the pages at /guide and the package."""
