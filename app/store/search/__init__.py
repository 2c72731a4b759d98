"""Search: parameters become a tree, the tree becomes SQL over the index, and the answer comes page by page.

A search is answered as things stood when its first page was read: the links to further pages carry that moment, so the
same link always gives the same page, whatever is written meanwhile.
"""

from app.store.search.escapes import codes, escaped
from app.store.search.query import Query, Searcher
from app.store.search.results import CONTROL
from app.store.search.run import Page, included_with, matching_ids, matching_versions, search
from app.store.search.terms import asks_terms

__all__ = [
    "CONTROL",
    "Page",
    "Query",
    "Searcher",
    "asks_terms",
    "codes",
    "escaped",
    "included_with",
    "matching_ids",
    "matching_versions",
    "search",
]
