"""Listings, page by page."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")


class Page(Struct, Generic[T], frozen=True):
    """A page of a listing; `next` is the cursor of the following one."""

    items: tuple[T, ...]
    next: str | None = None


class PartialPage(Page[T], Generic[T], frozen=True):
    """A page of which some items could not be read, for they are those of another version."""

    left_out: int = 0
    """How many; not on the wire, but found out by whoever reads a page."""


class PageQuery(Struct, frozen=True):
    """Which page of a listing: what the admin API takes as `?cursor=&limit=&filter=&sort=`."""

    cursor: Annotated[str, Meta(max_length=4096)] | None = None
    """That of two names of 128 characters, each of which may have four bytes, has up to 1500."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    filter: Annotated[str, Meta(max_length=200)] = ""
    sort: Annotated[str, Meta(max_length=64)] = ""
    """A field's name, `-` before it for descending; empty for the newest first."""
