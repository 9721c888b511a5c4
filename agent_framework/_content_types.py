# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.

"""Content: one item of a message, of whatever kind, and the small mappings that it carries."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import reprlib
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import reduce
from typing import Any, ClassVar, Literal, TypeVar, cast, get_args

from typing_extensions import Self, TypedDict

from ._data_uris import make_data_uri, parse_base64_payload, validate_uri
from ._serialization import copy_sharing
from .exceptions import AdditionItemMismatch, ContentError

logger = logging.getLogger("agent_framework")

# fmt: off
ContentType = Literal[
    "text", "text_reasoning", "data", "uri", "error", "usage",
    "function_call", "function_result", "function_approval_request", "function_approval_response",
    "hosted_file", "hosted_vector_store",
    "code_interpreter_tool_call", "code_interpreter_tool_result",
    "image_generation_tool_call", "image_generation_tool_result",
    "mcp_server_tool_call", "mcp_server_tool_result",
    "shell_tool_call", "shell_tool_result", "shell_command_output",
    "oauth_consent_request",
]
# fmt: on

_KNOWN_TYPES = frozenset(get_args(ContentType))
ContentT = TypeVar("ContentT", bound="Content")


class TextSpanRegion(TypedDict, total=False):
    """The part of a text that an annotation is about."""

    type: Literal["text_span"]
    start_index: int
    end_index: int


class Annotation(TypedDict, total=False):
    """Where a piece of content comes from: a page, a file or a tool, and which part of the text it stands behind."""

    type: Literal["citation"]
    annotated_regions: Sequence[TextSpanRegion]
    title: str
    snippet: str
    url: str
    tool_name: str
    file_id: str
    raw_representation: Any
    additional_properties: dict[str, Any]


class UsageDetails(TypedDict, total=False):
    """Tokens that a response used. A provider may add keys of its own, with int values."""

    input_token_count: int | None
    output_token_count: int | None
    total_token_count: int | None


def add_usage_details(usage1: UsageDetails | None, usage2: UsageDetails | None) -> UsageDetails:
    """Sum two usages key by key. A missing or None count is 0; a count that is no int is left out with a warning."""
    total: dict[str, int] = {}
    for usage in (usage1, usage2):
        for key, count in cast("dict[str, Any]", usage or {}).items():
            if count is None or isinstance(count, int):
                total[key] = total.get(key, 0) + (count or 0)
            else:
                logger.warning("The usage count %s is left out: it is a %s, not an int.", key, type(count).__name__)
    return cast("UsageDetails", total)


@dataclass(eq=False, repr=False)
class Content:
    """One item of a message. ``type`` says which kind, and so which of the fields mean something; the rest is None.

    Use the ``from_...`` constructors. Two items are equal when their dictionaries are.
    """

    type: ContentType
    _: KW_ONLY
    text: str | None = None
    protected_data: str | None = None
    uri: str | None = None
    media_type: str | None = None
    message: str | None = None
    error_code: str | None = None
    error_details: str | None = None
    usage_details: UsageDetails | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | Mapping[str, Any] | None = None
    exception: str | None = None
    result: Any = None
    items: Sequence[Content] | None = None
    file_id: str | None = None
    vector_store_id: str | None = None
    inputs: list[Content] | None = None
    outputs: list[Content] | Any | None = None
    image_id: str | None = None
    commands: list[str] | None = None
    timeout_ms: int | None = None
    max_output_length: int | None = None
    status: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    exit_code: int | None = None
    timed_out: bool | None = None
    tool_name: str | None = None
    server_name: str | None = None
    output: Any = None
    id: str | None = None
    function_call: Content | None = None
    user_input_request: bool | None = None
    approved: bool | None = None
    consent_link: str | None = None
    annotations: Sequence[Annotation] | None = None
    additional_properties: MutableMapping[str, Any] = field(default_factory=dict)
    raw_representation: Any = None

    _SHALLOW_COPY_FIELDS: ClassVar[set[str]] = {"raw_representation"}

    def __post_init__(self) -> None:
        # None is allowed in the constructor; the attribute is always a mapping, so nobody has to ask.
        if cast("Any", self.additional_properties) is None:
            self.additional_properties = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Content:
        return copy_sharing(self, memo, self._SHALLOW_COPY_FIELDS)

    @classmethod
    def from_text(
        cls,
        text: str,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """Text that a person or a model wrote."""
        return cls("text", text=text, **_common(annotations, additional_properties, raw_representation))

    @classmethod
    def from_text_reasoning(
        cls,
        *,
        id: str | None = None,
        text: str | None = None,
        protected_data: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """What a model thought. protected_data is the provider's own form of it, to be sent back unchanged."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("text_reasoning", id=id, text=text, protected_data=protected_data, **common)

    @classmethod
    def from_data(
        cls,
        data: bytes,
        media_type: str,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """Bytes, kept as a base64 data URI in ``uri``.

        Raises:
            TypeError: data is not bytes.
        """
        common = _common(annotations, additional_properties, raw_representation)
        return cls("data", uri=make_data_uri(data, media_type), media_type=media_type, **common)

    @classmethod
    def from_uri(
        cls,
        uri: str,
        *,
        media_type: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A reference to something elsewhere, or for a ``data:`` URI the data in it.

        Args:
            uri: With a scheme; a data URI must be in base64.
            media_type: For a data URI, None takes the one that is in it.
            annotations: See the class.
            additional_properties: See the class.
            raw_representation: See the class.

        Raises:
            ContentError: The URI is empty, has no scheme, or is a data URI that is not in base64.
        """
        found = validate_uri(uri, media_type)
        common = _common(annotations, additional_properties, raw_representation)
        return cls(cast("ContentType", found["type"]), uri=uri, media_type=found["media_type"], **common)

    @classmethod
    def from_error(
        cls,
        *,
        message: str | None = None,
        error_code: str | None = None,
        error_details: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A failure that a service reported inside a response."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("error", message=message, error_code=error_code, error_details=error_details, **common)

    @classmethod
    def from_function_call(
        cls,
        call_id: str,
        name: str,
        *,
        arguments: str | Mapping[str, Any] | None = None,
        exception: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A call that the model asks for. arguments is JSON text or a mapping, kept as given."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("function_call", call_id=call_id, name=name, arguments=arguments, exception=exception, **common)

    @classmethod
    def from_function_result(
        cls,
        call_id: str,
        *,
        result: Any = None,
        exception: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """The answer to a call.

        Args:
            call_id: The id in the call.
            result: A list of Content becomes ``items``; any other value one text item. ``result`` of the new object is
                the text of the text items, a line for each.
            exception: The text of the error when the call failed; None when it did not.
            annotations: See the class.
            additional_properties: See the class.
            raw_representation: See the class.
        """
        items = _prepare_items_for_result(result)
        text = "\n".join(item.text or "" for item in items if item.type == "text")
        common = _common(annotations, additional_properties, raw_representation)
        return cls("function_result", call_id=call_id, result=text, items=items, exception=exception, **common)

    @classmethod
    def from_usage(
        cls,
        usage_details: UsageDetails,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """Token counts inside a stream of updates; summed on the response, never part of a message."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("usage", usage_details=usage_details, **common)

    @classmethod
    def from_hosted_file(
        cls,
        file_id: str,
        *,
        media_type: str | None = None,
        name: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A file that the provider keeps."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("hosted_file", file_id=file_id, media_type=media_type, name=name, **common)

    @classmethod
    def from_hosted_vector_store(
        cls,
        vector_store_id: str,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A vector store that the provider keeps."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("hosted_vector_store", vector_store_id=vector_store_id, **common)

    @classmethod
    def from_code_interpreter_tool_call(
        cls,
        *,
        call_id: str | None = None,
        inputs: Sequence[Content] | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """Code that the provider's interpreter is to run."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("code_interpreter_tool_call", call_id=call_id, inputs=_as_list(inputs), **common)

    @classmethod
    def from_code_interpreter_tool_result(
        cls,
        *,
        call_id: str | None = None,
        outputs: Sequence[Content] | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """What the provider's interpreter printed or made."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("code_interpreter_tool_result", call_id=call_id, outputs=_as_list(outputs), **common)

    @classmethod
    def from_image_generation_tool_call(
        cls,
        *,
        image_id: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """An image that the provider is making."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("image_generation_tool_call", image_id=image_id, **common)

    @classmethod
    def from_image_generation_tool_result(
        cls,
        *,
        image_id: str | None = None,
        outputs: Any = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """An image that the provider made; outputs is usually a data or uri Content."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("image_generation_tool_result", image_id=image_id, outputs=outputs, **common)

    @classmethod
    def from_mcp_server_tool_call(
        cls,
        call_id: str,
        tool_name: str,
        *,
        server_name: str | None = None,
        arguments: str | Mapping[str, Any] | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A call that the provider itself sends to an MCP server."""
        return cls(
            "mcp_server_tool_call",
            call_id=call_id,
            tool_name=tool_name,
            server_name=server_name,
            arguments=arguments,
            **_common(annotations, additional_properties, raw_representation),
        )

    @classmethod
    def from_mcp_server_tool_result(
        cls,
        call_id: str,
        *,
        output: Any = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """What the provider got from an MCP server; output is usually a list of Content."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("mcp_server_tool_result", call_id=call_id, output=output, **common)

    @classmethod
    def from_shell_tool_call(
        cls,
        *,
        call_id: str | None = None,
        commands: list[str] | None = None,
        timeout_ms: int | None = None,
        max_output_length: int | None = None,
        status: str | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """Commands for a shell; timeout_ms in milliseconds, max_output_length in characters."""
        return cls(
            "shell_tool_call",
            call_id=call_id,
            commands=commands,
            timeout_ms=timeout_ms,
            max_output_length=max_output_length,
            status=status,
            **_common(annotations, additional_properties, raw_representation),
        )

    @classmethod
    def from_shell_tool_result(
        cls,
        *,
        call_id: str | None = None,
        outputs: Sequence[Content] | None = None,
        max_output_length: int | None = None,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """What a shell answered; outputs are shell_command_output items, one for each command."""
        return cls(
            "shell_tool_result",
            call_id=call_id,
            outputs=_as_list(outputs),
            max_output_length=max_output_length,
            **_common(annotations, additional_properties, raw_representation),
        )

    @classmethod
    def from_shell_command_output(
        cls,
        *,
        stdout: str | None = None,
        stderr: str | None = None,
        exit_code: int | None = None,
        timed_out: bool | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """What one command printed and how it ended."""
        common = _common(None, additional_properties, raw_representation)
        return cls(
            "shell_command_output", stdout=stdout, stderr=stderr, exit_code=exit_code, timed_out=timed_out, **common
        )

    @classmethod
    def from_function_approval_request(
        cls,
        id: str,
        function_call: Content,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A call that waits for the user's consent; answer with ``to_function_approval_response``."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("function_approval_request", id=id, function_call=function_call, user_input_request=True, **common)

    @classmethod
    def from_function_approval_response(
        cls,
        approved: bool,
        id: str,
        function_call: Content,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """The user's answer to a function_approval_request."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("function_approval_response", approved=approved, id=id, function_call=function_call, **common)

    @classmethod
    def from_oauth_consent_request(
        cls,
        consent_link: str,
        *,
        annotations: Sequence[Annotation] | None = None,
        additional_properties: MutableMapping[str, Any] | None = None,
        raw_representation: Any = None,
    ) -> Self:
        """A page on which the user has to allow access first."""
        common = _common(annotations, additional_properties, raw_representation)
        return cls("oauth_consent_request", consent_link=consent_link, user_input_request=True, **common)

    def to_function_approval_response(self, approved: bool) -> Content:
        """Answer this function_approval_request.

        Raises:
            ContentError: This is another kind of content.
        """
        if self.type != "function_approval_request" or self.id is None or self.function_call is None:
            raise ContentError(f"Only a function_approval_request can be approved or rejected, not a {self.type}.")
        return Content.from_function_approval_response(
            approved, self.id, self.function_call, additional_properties=self.additional_properties
        )

    def parse_arguments(self) -> dict[str, Any] | None:
        """The arguments of a call as a mapping.

        Returns:
            None without arguments; an empty mapping for empty text; ``{"raw": ...}`` with the value, or the text, when
            they are not a JSON object.
        """
        if self.arguments is None:
            return None
        if not isinstance(self.arguments, str):
            return dict(self.arguments)
        if not self.arguments:
            return {}
        try:
            value = json.loads(self.arguments)
        except (ValueError, RecursionError):  # no JSON, or more digits or levels than Python reads
            return {"raw": self.arguments}
        return value if isinstance(value, dict) else {"raw": value}

    def has_top_level_media_type(self, top_level_media_type: Literal["application", "audio", "image", "text"]) -> bool:
        """Whether the media type begins with this word.

        Raises:
            ContentError: There is no media type.
        """
        if self.media_type is None:
            raise ContentError(f"This {self.type} content has no media type.")
        return self.media_type.partition("/")[0].lower() == top_level_media_type

    def to_dict(self, *, exclude_none: bool = True, exclude: set[str] | None = None) -> dict[str, Any]:
        """Return the fields as a dictionary, nested content included, without raw_representation.

        Args:
            exclude_none: Leave out fields that are None.
            exclude: Fields to leave out; ``type`` always stays.
        """
        skipped = (exclude or set()) | {"raw_representation"}
        result: dict[str, Any] = {"type": self.type}
        for name in _FIELD_NAMES:
            value = getattr(self, name)
            if name not in skipped and not (exclude_none and value is None):
                result[name] = _content_to_dict(value, exclude_none)
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a content from what ``to_dict`` returned; for data, ``data`` with bytes may stand for ``uri``.

        Raises:
            ValueError: There is no ``type``.
            TypeError: There is a key that is no field.
        """
        if not data.get("type"):
            raise ValueError("A mapping becomes content only with a 'type'.")
        arguments = dict(data)
        if arguments["type"] == "data" and "data" in arguments:
            arguments["uri"] = make_data_uri(arguments.pop("data"), arguments.get("media_type") or "")
        for name, parse in _NESTED.items():
            if arguments.get(name) is not None:
                arguments[name] = parse(arguments[name])
        return cls(**arguments)

    # Content can be changed, and equal content has equal fields.
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self.to_dict() == other.to_dict() if isinstance(other, Content) else NotImplemented

    def __str__(self) -> str:
        if self.type == "text":
            return self.text or ""
        if self.type == "error":
            return (
                f"Error {self.error_code}: {self.message or ''}" if self.error_code else self.message or "Unknown error"
            )
        return f"Content(type={self.type})"

    def __repr__(self) -> str:
        present = ((name, getattr(self, name)) for name in _FIELD_NAMES if name != "raw_representation")
        shown = "".join(f", {name}={reprlib.repr(value)}" for name, value in present if value not in (None, {}))
        return f"Content({self.type!r}{shown})"

    def __add__(self, other: Content) -> Content:
        """Join two pieces of one item, as streaming delivers them.

        Raises:
            TypeError: The types differ, or other is no Content, or arguments are once text and once a mapping.
            ContentError: Content of this type has no pieces, or the pieces belong to different items.
        """
        if not isinstance(other, Content):
            raise TypeError(f"Content and {type(other).__name__} cannot be added.")
        if self.type != other.type:
            raise TypeError(f"Content of type {self.type} and of type {other.type} cannot be added.")
        joiner = _JOINERS.get(self.type)
        if joiner is None:
            raise ContentError(f"Content of type {self.type} cannot be added.")
        return joiner([self, other])


_FIELD_NAMES = tuple(entry.name for entry in fields(Content) if entry.name != "type")


def _common(
    annotations: Sequence[Annotation] | None,
    additional_properties: MutableMapping[str, Any] | None,
    raw_representation: Any,
) -> dict[str, Any]:
    """The arguments that every constructor takes."""
    return {
        "annotations": annotations,
        "additional_properties": additional_properties,
        "raw_representation": raw_representation,
    }


def _as_list(contents: Sequence[Content] | None) -> list[Content] | None:
    return None if contents is None else list(contents)


def _prepare_items_for_result(result: Any) -> list[Content]:
    """The items of a function result, from whatever a tool returned."""
    if isinstance(result, list) and all(isinstance(item, Content) for item in result):
        return list(result)
    if result is None:
        return [Content.from_text("")]
    if isinstance(result, (str, list)):
        return [Content.from_text(str(result))]
    return [Content.from_text(json.dumps(result, default=str))]


def _content_to_dict(value: Any, exclude_none: bool) -> Any:
    if isinstance(value, Content):
        return value.to_dict(exclude_none=exclude_none)
    if isinstance(value, Mapping):
        return {key: _content_to_dict(item, exclude_none) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_content_to_dict(item, exclude_none) for item in value]
    return value


def _parse_content(value: Any) -> Content:
    return value if isinstance(value, Content) else Content.from_dict(value)


def _parse_contents(values: Iterable[Any]) -> list[Content]:
    return [_parse_content(value) for value in values]


def _parse_known_content(value: Any) -> Any:
    """Restore content in fields that may hold any other value too."""
    if isinstance(value, list):
        return [_parse_known_content(item) for item in value]
    if isinstance(value, Mapping) and value.get("type") in _KNOWN_TYPES and value.keys() <= {"type", *_FIELD_NAMES}:
        return Content.from_dict(value)
    return value


_NESTED: dict[str, Callable[[Any], Any]] = {
    "function_call": _parse_content,
    "items": _parse_contents,
    "inputs": _parse_contents,
    "outputs": _parse_known_content,
    "output": _parse_known_content,
}


def _parse_content_list(contents_data: Sequence[Any]) -> list[Content]:
    """Content from a sequence of Content, text and mappings; a mapping that is no content is skipped with a warning.

    Raises:
        TypeError: An element is none of the three.
    """
    contents: list[Content] = []
    for entry in contents_data:
        if isinstance(entry, Content):
            contents.append(entry)
        elif isinstance(entry, str):
            contents.append(Content.from_text(entry))
        elif not isinstance(entry, Mapping):
            raise TypeError(f"Message contents are Content, str or mappings, not {type(entry).__name__}.")
        elif entry.get("type"):
            contents.append(Content.from_dict(entry))
        else:
            logger.warning("A mapping without 'type' is left out of a message; its keys: %s", sorted(map(str, entry)))
    return contents


def _get_data_bytes_as_str(content: Content) -> str | None:
    """The base64 text of data content; None for other content.

    Raises:
        ContentError: The data is not in base64.
    """
    return parse_base64_payload(content.uri) if content.type == "data" and content.uri else None


def _get_data_bytes(content: Content) -> bytes | None:
    """The bytes of data content; None for other content.

    Raises:
        ContentError: The data is not in base64, or is damaged.
    """
    text = _get_data_bytes_as_str(content)
    if text is None:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ContentError(f"The base64 data of this content is damaged: {error}") from error


# Joining pieces. All of them take neighbours of one type, in order, and make one new object.


def _join_text(pieces: Sequence[Content]) -> Content:
    return Content("text", text="".join(piece.text or "" for piece in pieces), **_joined_common(pieces))


def _join_text_reasoning(pieces: Sequence[Content]) -> Content:
    ids = list(dict.fromkeys(piece.id for piece in pieces if piece.id is not None))
    if len(ids) > 1:
        raise AdditionItemMismatch(f"Pieces of reasoning with different ids cannot be added: {', '.join(ids)}")
    texts = [piece.text for piece in pieces if piece.text is not None]
    sealed = [piece.protected_data for piece in pieces if piece.protected_data is not None]
    return Content(
        "text_reasoning",
        id=ids[0] if ids else None,
        text="".join(texts) if texts else None,
        # Not text to be joined: a later piece carries the whole of it.
        protected_data=sealed[-1] if sealed else None,
        **_joined_common(pieces),
    )


def _join_function_calls(pieces: Sequence[Content]) -> Content:
    first = pieces[0]
    if any(piece.call_id and piece.call_id != first.call_id for piece in pieces):
        raise ContentError("Pieces of different function calls cannot be added: their call ids differ.")
    return Content(
        "function_call",
        call_id=first.call_id,
        name=_first_true(piece.name for piece in pieces),
        arguments=_join_arguments([piece.arguments for piece in pieces]),
        exception=_first_true(piece.exception for piece in pieces),
        **_joined_common(pieces),
    )


def _join_arguments(arguments: Sequence[str | Mapping[str, Any] | None]) -> str | Mapping[str, Any] | None:
    present = [piece for piece in arguments if piece]
    if all(isinstance(piece, str) for piece in present):
        empty = next((piece for piece in arguments if piece is not None), None)
        return "".join(cast("list[str]", present)) if present else empty
    if any(isinstance(piece, str) for piece in present):
        raise TypeError("Arguments in text and arguments in a mapping cannot be added.")
    return {key: value for piece in cast("list[Mapping[str, Any]]", present) for key, value in piece.items()}


def _join_usage(pieces: Sequence[Content]) -> Content:
    total = reduce(add_usage_details, (piece.usage_details for piece in pieces), UsageDetails())
    return Content("usage", usage_details=total, **_joined_common(pieces))


_JOINERS: dict[str, Callable[[Sequence[Content]], Content]] = {
    "text": _join_text,
    "text_reasoning": _join_text_reasoning,
    "function_call": _join_function_calls,
    "usage": _join_usage,
}


def _first_true(values: Iterable[str | None]) -> str | None:
    """The first value that says something; else an empty text if there is one, so that "" stays ""."""
    seen = list(values)
    return next((value for value in seen if value), next((value for value in seen if value is not None), None))


def _joined_common(pieces: Sequence[Content]) -> dict[str, Any]:
    """The common arguments of the joined object: annotations of all, the first value of a property, all raw objects."""
    properties: dict[str, Any] = {}
    for piece in reversed(pieces):
        properties.update(piece.additional_properties)
    annotations = [annotation for piece in pieces for annotation in piece.annotations or ()]
    raw: list[Any] = []
    for piece in pieces:
        if isinstance(piece.raw_representation, list):
            raw.extend(piece.raw_representation)
        elif piece.raw_representation is not None:
            raw.append(piece.raw_representation)
    return _common(annotations or None, properties, raw[0] if len(raw) == 1 else raw or None)


def _coalesce(contents: list[Content], type_str: str) -> None:
    """Join neighbouring pieces of one type, in place. Each run is joined once: streams have thousands of pieces."""
    runs: list[list[Content]] = []
    for content in contents:
        last = runs[-1] if runs else None
        if last is None or not (content.type == last[0].type == type_str) or _belongs_elsewhere(content, last):
            runs.append([content])
        else:
            last.append(content)
    if len(runs) < len(contents):
        contents[:] = [run[0] if len(run) == 1 else _JOINERS[type_str](run) for run in runs]


def _belongs_elsewhere(piece: Content, run: Sequence[Content]) -> bool:
    """Whether a piece is of another item than the pieces before it; a piece without an id goes with them."""
    if piece.type == "function_call":
        return bool(piece.call_id) and piece.call_id != run[0].call_id
    if piece.type == "text_reasoning" and piece.id is not None:
        run_id = next((member.id for member in reversed(run) if member.id is not None), piece.id)
        return piece.id != run_id
    return False


def _coalesce_text_content(contents: list[Content], type_str: Literal["text", "text_reasoning"]) -> None:
    """Join neighbouring pieces of text, or of reasoning, in place."""
    _coalesce(contents, type_str)
