"""The keys and addresses of model services that a request brings in its headers. `Authorization` is ours and stays out."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request

from minivec.errors import InvalidInput
from minivec.types.credentials import Credentials
from minivec_server.state import state_of

KEY = r"^[!-~]{1,4096}$"
_ABOUT = "The caller's own key for the model service; goes before that of the settings."
Key = Annotated[str | None, Header(alias="X-NVIDIA-Api-Key", pattern=KEY, description=_ABOUT)]
OtherKey = Annotated[str | None, Header(alias="X-OpenAI-Api-Key", pattern=KEY, description=_ABOUT)]
BASE_URL = "X-NVIDIA-BaseURL"


async def credentials_of(request: Request, nvidia: Key = None, openai: OtherKey = None) -> Credentials:
    """What this request brings. Raises InvalidInput for a base URL where the settings do not allow one."""
    base_url = request.headers.get(BASE_URL, "")
    if base_url and not state_of(request).settings.allow_base_url_header:
        raise InvalidInput(
            "This server lets no request choose which service is called.",
            field=BASE_URL,
            hint="Leave the header out; the operator may allow it with the setting allow_base_url_header.",
        )
    return Credentials(nvidia_api_key=nvidia or "", nvidia_base_url=base_url, openai_api_key=openai or "")


Brought = Annotated[Credentials, Depends(credentials_of)]
