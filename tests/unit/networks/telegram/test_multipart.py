"""Forms with a file: read back by another implementation."""

import hashlib
from collections.abc import AsyncIterator
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sabir.networks.telegram.multipart import Form
from sabir.networks.telegram.render import FilePart


async def _whole(form: Form, data: bytes) -> bytes:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 10):
            yield data[start : start + 10]

    return b"".join([piece async for piece in form.body(chunks())])


@given(
    st.binary(max_size=50),
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=9
    ),
)
async def test_a_form_is_read_back_and_has_the_length_it_said(
    data: bytes, name: str
) -> None:
    params: dict[str, Any] = {"chat_id": -5, "caption": "Ahoy 😀", "list": [{"a": 1}]}
    boundary = hashlib.sha256(data).hexdigest()[:32]
    form = Form(params, FilePart("document", name, "text/plain"), boundary)
    body = await _whole(form, data)
    assert len(body) == form.octets(len(data))
    head = f"Content-Type: {form.content_type}\r\n\r\n".encode()
    parts = body.split(f"--{boundary}".encode())[1:-1]
    assert len(parts) == 4
    read = BytesParser(policy=HTTP).parsebytes(head + body)
    assert read.is_multipart()
    first = parts[0].partition(b"\r\n\r\n")[2]
    assert first == b"-5\r\n"
    assert parts[2].endswith(b'[{"a": 1}]\r\n')
    assert parts[3].partition(b"\r\n\r\n")[2] == data + b"\r\n"


def test_a_name_cannot_end_its_header() -> None:
    form = Form({}, FilePart("document", 'a"\r\nX: y\\', "text/plain"), "b")
    assert b'filename="a%22%0D%0AX: y_"\r\n' in form._head
