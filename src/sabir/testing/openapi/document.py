"""Checks requests against an OpenAPI 3.1 document, in the process of the test."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sabir.errors import LocalError

_ROOT: Final = "urn:document"
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: object = None
    """Parsed JSON, or the form's fields by name; None if there is none."""


class Document:
    """An OpenAPI document.

    Args:
        text: its YAML.
    """

    def __init__(self, text: str) -> None:
        self._root: dict[str, Any] = yaml.safe_load(text)
        resource = Resource.from_contents(self._root, default_specification=DRAFT202012)
        self._registry: Registry[Any] = Registry().with_resource(_ROOT, resource)
        self._paths = [
            (_pattern(template), operations)
            for template, operations in self._root["paths"].items()
        ]

    def violations(self, request: Request) -> list[str]:
        """Return what is wrong with a request, each as a line; none if it fits."""
        found = self._operation(request)
        if found is None:
            return [f"{request.method} {request.path} is not described"]
        operation, parameters, values = found
        wrong = self._security(request, operation)
        for parameter in parameters:
            wrong += self._parameter(parameter, request, values)
        known = {p["name"] for p in parameters if p["in"] == "query"}
        wrong += [f"unknown query {n}" for n in request.query if n not in known]
        return wrong + self._body(request, operation)

    def _operation(
        self, request: Request
    ) -> tuple[Json, Sequence[Json], Mapping[str, str]] | None:
        for pattern, operations in self._paths:
            match = pattern.fullmatch(request.path)
            operation = operations.get(request.method.lower())
            if match is not None and operation is not None:
                both = [
                    *operations.get("parameters", []),
                    *operation.get("parameters", []),
                ]
                return operation, [self._resolved(p) for p in both], match.groupdict()
        return None

    def _resolved(self, value: Json) -> Json:
        """Follow one local reference."""
        pointer = value.get("$ref")
        if pointer is None:
            return value
        found: Any = self._root
        for step in pointer.removeprefix("#/").split("/"):
            found = found[step]
        if not isinstance(found, dict):
            raise LocalError(f"{pointer} leads to nothing in this document")
        return found

    def _security(self, request: Request, operation: Json) -> list[str]:
        if operation.get("security", self._root.get("security")) == []:
            return []
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return [] if scheme == "Bearer" and token else ["no bearer token"]

    def _parameter(
        self, parameter: Json, request: Request, values: Mapping[str, str]
    ) -> list[str]:
        name = parameter["name"]
        places: Mapping[str, Mapping[str, str]] = {
            "path": values,
            "query": request.query,
            "header": {k.lower(): v for k, v in request.headers.items()},
        }
        value = places[parameter["in"]].get(
            name.lower() if parameter["in"] == "header" else name
        )
        if value is None:
            return [f"{name} is missing"] if parameter.get("required") else []
        schema = parameter["schema"]
        typed: object = value
        if schema.get("type") == "integer" and value.isdecimal():
            typed = int(value)
        return [f"{name}: {text}" for text in self._errors(schema, typed)]

    def _body(self, request: Request, operation: Json) -> list[str]:
        described = operation.get("requestBody")
        if described is None:
            return [] if request.body is None else ["a body, where none is described"]
        sent = request.headers.get("content-type", "").partition(";")[0].strip()
        content = described["content"].get(sent)
        if content is None:
            return [f"content type {sent!r} is not described"]
        return self._errors(content["schema"], request.body)

    def _errors(self, schema: Json, value: object) -> list[str]:
        based = {"$id": _ROOT + ":part", **_absolute(schema)}
        validator = Draft202012Validator(
            based, registry=self._registry, format_checker=FormatChecker()
        )
        return [
            f"{'/'.join(map(str, error.absolute_path)) or 'body'}: {error.message}"
            for error in validator.iter_errors(value)
        ]


def _absolute(value: Any) -> Any:
    """Return a schema whose local references name the document."""
    if isinstance(value, dict):
        return {
            key: _ROOT + inner if key == "$ref" else _absolute(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_absolute(inner) for inner in value]
    return value


def _pattern(template: str) -> re.Pattern[str]:
    """Return what a path of this template looks like."""
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile(
        "".join(
            f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part)
            for index, part in enumerate(parts)
        )
    )


@cache
def whatsapp_cloud() -> Document:
    """Return our description of the WhatsApp Cloud API."""
    return Document(whatsapp_cloud_text())


def whatsapp_cloud_text() -> str:
    """Return the same as YAML, for other checkers."""
    file = files("sabir.testing.openapi") / "whatsapp_cloud.yaml"
    return file.read_text(encoding="utf-8")
