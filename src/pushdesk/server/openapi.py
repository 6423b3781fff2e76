"""The description of the API (OpenAPI 3.1), made from the routes themselves."""

from __future__ import annotations

from http import HTTPStatus
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from pushdesk.server.auth import READ_ONLY, Access
from pushdesk.server.lines import CONTENT_TYPE as LINES
from pushdesk.server.problems import CONTENT_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pushdesk.server.routes import AnyRoute

_REF: Final = "#/components/schemas/{name}"
_SECURITY: Final[dict[Access, list[dict[str, list[str]]]]] = {
    Access.OPEN: [],
    Access.PAGE: [],
    Access.LOCAL: [{}, {"token": ["read"]}],
    Access.DEVICE: [{}, {"device": []}, {"token": ["admin"]}],
    Access.NOTIFY: [{"token": ["notify"]}],
    Access.FOLLOW: [{"token": ["notify"]}, {"token": ["read"]}],
    Access.READ: [{"token": ["read"]}],
    Access.ADMIN: [{"token": ["admin"]}],
}
_PATH_PARAMETERS: Final = {
    "user": "1 to 128 characters in NFC, no control characters, no slash, not `me`",
    "id": "A dispatch's id",
    "delivery": "A delivery's id",
}


def describe(routes: Iterable[AnyRoute], *, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of `routes`."""
    routes = tuple(routes)
    types: list[Any] = [Problem]
    for route in routes:
        parts = (route.query, route.body, route.frames, *route.answers.values())
        types.extend(part for part in parts if _has_schema(part))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    for route in routes:
        if route.body is not NoneType:
            _refuse_unknown_fields(components, route.body.__name__)
    schema_of = {id(part): schema for part, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pushdesk",
            "version": version,
            "summary": "A self-hosted Web Push server",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token with the scope that is named, or with `admin`; or the admin token."
                    f" With the header `{READ_ONLY}` it changes nothing",
                },
                "device": {"type": "http", "scheme": "bearer", "description": "The token of a new subscription's 201"},
            },
        },
    }


def _refuse_unknown_fields(components: dict[str, Any], name: str) -> None:
    """Say that a body, and every object within it, has no other fields than the known ones."""
    schema = components[name]
    if "properties" in schema:
        schema["additionalProperties"] = False
    for inner in _references(schema):
        _refuse_unknown_fields(components, inner)


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for part in schema.values():
            yield from _references(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _has_schema(part: object) -> bool:
    return part is not NoneType and part is not None and not isinstance(part, str)


def _operation(route: AnyRoute, schema_of: dict[int, dict[str, Any]], components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{route.path.strip('/').replace('/', '_').translate(_NO_BRACES)}",
        "security": _SECURITY[route.access],
        "parameters": [*_path_parameters(route), *_query_parameters(route, components), *_header_parameters(route)],
        "responses": {
            **{str(status): _response(status, part, schema_of) for status, part in route.answers.items()},
            "default": {
                "description": "A problem",
                "content": {CONTENT_TYPE: {"schema": {"$ref": _REF.format(name=Problem.__name__)}}},
            },
        },
    }
    if route.body is not NoneType:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_of[id(route.body)]}},
        }
    if route.takes_lines:
        operation["requestBody"]["content"][LINES] = {
            "schema": {"type": "string", "description": "That object on the first line, then a JSON string on each"}
        }
    if route.frames is not None:
        operation["description"] = "Every text frame is an array of events."
        operation["x-events"] = schema_of[id(route.frames)]
    return operation


_NO_BRACES: Final = str.maketrans({"{": None, "}": None, ".": "_"})


def _response(status: int, part: object, schema_of: dict[int, dict[str, Any]]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(part, str):
        response["content"] = {part: {"schema": {"type": "string"}}}
    elif part is not None:
        response["content"] = {"application/json": {"schema": schema_of[id(part)]}}
    return response


def _path_parameters(route: AnyRoute) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
        for name, text in _PATH_PARAMETERS.items()
        if f"{{{name}}}" in route.path
    ]


def _query_parameters(route: AnyRoute, components: dict[str, Any]) -> list[dict[str, Any]]:
    shape: type[Struct] = route.query
    properties = components[shape.__name__].get("properties", {})
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _header_parameters(route: AnyRoute) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}
        for name, text in route.headers.items()
    ]
