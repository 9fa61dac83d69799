"""Behind proxies: whose headers are believed, which addresses are given out, and which pages and names get in."""

from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Serve
from xinflight.forwarded import PublicAddress, in_networks, public_address, read_network, read_public_url

NOBODY = "http://127.0.0.1:9"
SEEN = PublicAddress("http", "10.0.0.7:8000")


@pytest.mark.parametrize(
    ("peer", "networks", "trusted"),
    [
        ("127.0.0.1", ["127.0.0.1"], True),
        ("127.0.0.2", ["127.0.0.1"], False),
        ("10.1.2.3", ["192.168.0.0/16", "10.0.0.0/8"], True),
        ("10.1.2.3", ["10.1.2.99/24"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("fd00::5", ["fd00::/8"], True),
        ("fd00::5", ["10.0.0.0/8"], False),
        ("10.1.2.3", [], False),
        ("", ["0.0.0.0/0"], False),
        (None, ["0.0.0.0/0"], False),
        ("somebody", ["0.0.0.0/0"], False),
    ],
)
def test_whose_headers_are_believed(peer: str | None, networks: list[str], trusted: bool) -> None:
    assert in_networks(peer, [read_network(text) for text in networks]) is trusted


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, "http://10.0.0.7:8000"),
        ({"Proto": "https", "Host": "example.org"}, "https://example.org"),
        ({"Proto": "https, http", "Host": "example.org, inner:80"}, "https://example.org"),
        ({"Proto": "HTTPS ,http"}, "https://10.0.0.7:8000"),
        ({"Host": "example.org:8443", "Prefix": "/draw/"}, "http://example.org:8443/draw"),
        ({"Host": "[2001:db8::1]:8443", "Prefix": "/a/b, /c"}, "http://[2001:db8::1]:8443/a/b"),
        ({"Proto": "javascript", "Host": "a b", "Prefix": "draw"}, "http://10.0.0.7:8000"),
        ({"Proto": "", "Host": "example.org/x?y", "Prefix": "/a\r\nX: y"}, "http://10.0.0.7:8000"),
        ({"Prefix": "/"}, "http://10.0.0.7:8000"),
        ({"Prefix": "//evil.example"}, "http://10.0.0.7:8000"),
    ],
)
def test_the_address_that_a_proxy_names(headers: dict[str, str], url: str) -> None:
    """The outermost proxy's word counts; what is no address is as if it were not said."""
    said = {f"X-Forwarded-{name}": value for name, value in headers.items()}
    assert public_address(said, SEEN).url == url


@given(st.text(), st.text(), st.text())
def test_no_forwarded_header_is_too_strange(scheme: str, host: str, prefix: str) -> None:
    headers = {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": host, "X-Forwarded-Prefix": prefix}
    address = public_address(headers, SEEN)
    assert address.url.isascii()
    assert address.url.isprintable()
    assert address.port >= 0


@pytest.mark.parametrize(
    "text", ["example.org", "ftp://example.org", "https://", "https://a/?b", "https://a b/", "http://["]
)
def test_a_public_url_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"URL|Invalid"):
        read_public_url(text)


async def statuses(url: str, **headers: str) -> tuple[int, int]:
    """Return the answers to a WebSocket handshake (101 if it is accepted) and to a request of the API."""
    async with aiohttp.ClientSession(headers=headers) as http:
        try:
            async with http.ws_connect(f"{url}ws/generate"):
                shaken = 101
        except aiohttp.WSServerHandshakeError as refused:
            shaken = refused.status
        async with http.get(f"{url}api/v1/models") as response:
            return shaken, response.status


IN = (101, 200)
OUT = (403, 403)


async def test_the_public_url_is_ours(serve: Serve) -> None:
    """A proxy with nginx's defaults passes on its own name for the upstream as Host, and the browser's Origin."""
    url = await serve(xinference_url=NOBODY, public_url="https://Art.example/draw/")
    assert await statuses(url, Origin="https://art.example") == IN
    assert await statuses(url, Origin="https://art.example:443", Host="art.example") == IN
    assert await statuses(url, Origin=url.rstrip("/")) == IN, "who asks without the proxy"
    assert await statuses(url, Origin="https://evil.example") == OUT
    assert await statuses(url, Origin="https://evil.example", Host="evil.example") == OUT


async def test_a_page_without_tls_is_not_ours_where_there_is_tls(serve: Serve) -> None:
    """Whoever controls the network can put a page at the plain address, to which some browsers send the cookie."""
    plain = "http://art.example"
    url = await serve(xinference_url=NOBODY, public_url="https://art.example", allow_hosts=("art.example",))
    assert await statuses(url, Origin=plain) == OUT
    assert await statuses(url, Origin=plain, Host="art.example") == OUT
    url = await serve(xinference_url=NOBODY, trusted_proxies=("127.0.0.1",), allow_hosts=("art.example",))
    proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
    assert await statuses(url, **proxy, Origin=plain) == OUT
    assert await statuses(url, Host="art.example", Origin=plain) == IN
    assert await statuses(url, Host="art.example", Origin="https://art.example") == IN, "TLS that no header tells of"


async def test_a_trusted_proxys_host_is_ours(serve: Serve) -> None:
    """The Origin may be the host that the proxy was asked under, if that is an allowed name."""
    url = await serve(xinference_url=NOBODY, trusted_proxies=("127.0.0.0/8",), allow_hosts=("art.example",))
    proxy = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "art.example"}
    assert await statuses(url, **proxy, Origin="https://art.example") == IN
    assert await statuses(url, **proxy, Origin="https://evil.example") == OUT
    evil = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    assert await statuses(url, **evil, Origin="https://evil.example") == OUT


async def test_an_unknown_peers_headers_are_nothing(serve: Serve) -> None:
    url = await serve(xinference_url=NOBODY, trusted_proxies=("10.0.0.0/8",), allow_hosts=("art.example",))
    proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "art.example"}
    assert await statuses(url, **proxy, Origin="https://art.example") == OUT
    async with aiohttp.ClientSession(headers=proxy) as http:
        assert await location(http, url) == url


async def test_addresses_of_several_proxies_in_a_row(serve: Serve) -> None:
    url = await serve(xinference_url=NOBODY, trusted_proxies=("127.0.0.1",), allow_hosts=("art.example",))
    proxy = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "art.example, 10.0.0.7:8000"}
    async with aiohttp.ClientSession(headers=proxy) as http:
        assert await location(http, url) == "https://art.example/"


async def location(http: aiohttp.ClientSession, url: str) -> str:
    """Return what stands before the path in the address of a new task."""
    body: dict[str, Any] = {"prompt": "boat", "on_disconnect": "continue"}
    async with http.post(f"{url}api/v1/tasks", json=body) as response:
        assert response.status == 202
        return response.headers["Location"].partition("api/v1")[0]
