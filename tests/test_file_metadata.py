"""What files say of themselves: read by other programs, without a change of any pixel, and taken out again."""

import io
import itertools
import json
import re
import struct
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from image_files import image_file, turned
from test_mp4 import FFMPEG, FRAMES, FTYP, box, track, wide_box
from xinflight.file_metadata import COMPOSITE, GENERATED, Provenance, embed, generation_parameters, without_parameters
from xinflight.model import identify

PROMPT = "a red boat\nat dawn, 月光"
PARAMETERS = generation_parameters(PROMPT, "blurry", {"Steps": 9, "CFG scale": None, "Seed": 7, "Model": "Z, Image"})
SIZE = (60, 41)
IMAGES = {
    "png": image_file("PNG", SIZE),
    "png with alpha": image_file("PNG", SIZE, mode="RGBA"),
    "jpeg": image_file("JPEG", SIZE),
    "progressive jpeg": image_file("JPEG", SIZE, progressive=True),
    "webp": image_file("WEBP", SIZE),
    "lossless webp": image_file("WEBP", SIZE, lossless=True),
    "webp with alpha": image_file("WEBP", SIZE, mode="RGBA", lossless=True),
    "lossy webp with alpha": image_file("WEBP", SIZE, mode="RGBA"),
    "webp with a profile": image_file("WEBP", SIZE, icc_profile=b"odd"),
}
EACH = pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)


def provenance(**changes: Any) -> Provenance:
    given: dict[str, Any] = {
        "source_type": GENERATED,
        "producer": "91110000AB & <Co>",
        "produce_id": "u-0",
        "tool": "xinflight 1",
        "system": "Z\"Image'",
        "created": 1_700_000_000.0,
    }
    return Provenance(**given | changes)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def parameters_of(data: bytes) -> str | None:
    """Return the parameters as other programs read them."""
    image = opened(data)
    comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if comment is not None:
        assert comment[:8] == b"UNICODE\0"
        return str(comment[8:], "utf-16-be")
    parameters: str | None = image.info.get("parameters")
    return parameters


def xmp_of(data: bytes) -> ET.Element:
    """Return the description in the XMP packet of an image."""
    image = opened(data)
    packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"]
    root = ET.fromstring(re.sub(r"<\?xpacket[^>]*\?>", "", packet if isinstance(packet, str) else packet.decode()))
    return root[0][0]


@EACH
def test_an_image_says_how_it_was_made(data: bytes) -> None:
    labelled = embed(data, provenance(), PARAMETERS)
    before, after = opened(data), opened(labelled)
    assert (before.mode, before.size, before.tobytes()) == (after.mode, after.size, after.tobytes())
    assert before.info.get("icc_profile") == after.info.get("icc_profile")
    assert parameters_of(labelled) == PARAMETERS
    told, original = identify(labelled), identify(data)
    assert (told.media_type, told.width, told.height) == (original.media_type, *SIZE)
    assert told.bytes == len(labelled)


@EACH
def test_an_image_says_that_a_model_made_it(data: bytes) -> None:
    description = xmp_of(embed(data, provenance(), None))
    iptc, xmp = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}", "{http://ns.adobe.com/xap/1.0/}"
    assert {name: text for name, text in description.attrib.items() if not name.endswith("}about")} == {
        f"{iptc}DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
        f"{iptc}AISystemUsed": "Z\"Image'",
        f"{xmp}CreateDate": "2023-11-14T22:13:20Z",
        f"{xmp}CreatorTool": "xinflight 1",
    }
    (label,) = description
    assert label.tag == "{http://www.tc260.org.cn/ns/AIGC/1.0/}AIGC"
    # GB 45438-2025, annex E: these fields in this order.
    assert list(json.loads(label.text or "").items()) == [
        ("Label", "1"),
        ("ContentProducer", "91110000AB & <Co>"),
        ("ProduceID", "u-0"),
        ("ReservedCode1", ""),
        ("ContentPropagator", ""),
        ("PropagateID", ""),
        ("ReservedCode2", ""),
    ]


@EACH
def test_the_parameters_go_and_the_rest_stays(data: bytes) -> None:
    assert without_parameters(embed(data, provenance(), PARAMETERS)) == embed(data, provenance(), None)
    assert without_parameters(data) == data


@EACH
def test_what_a_file_says_already_stays(data: bytes) -> None:
    labelled = embed(data, provenance(), PARAMETERS)
    assert embed(labelled, provenance(source_type=COMPOSITE), "other") == labelled


def test_a_photograph_keeps_its_exif_data() -> None:
    """In place of the parameters, since a JPEG has one such segment."""
    labelled = embed(turned("JPEG", 6), provenance(), PARAMETERS)
    assert opened(labelled).getexif()[ExifTags.Base.Orientation] == 6
    assert parameters_of(labelled) is None
    assert b"trainedAlgorithmicMedia" in labelled


def test_the_form_of_the_parameters() -> None:
    """The last line is what tools look for; plain text stays plain."""
    assert PARAMETERS == f'{PROMPT}\nNegative prompt: blurry\nSteps: 9, Seed: 7, Model: "Z, Image"'
    assert generation_parameters("a\0b", None, {"Seed": 1}) == "ab\nSeed: 1"
    latin = embed(IMAGES["png"], provenance(), "café")
    assert b"tEXtparameters\0caf\xe9" in latin
    assert b"iTXtparameters\0" in embed(IMAGES["png"], provenance(), "月")


def test_what_is_too_long_for_a_jpeg_is_left_out() -> None:
    labelled = embed(IMAGES["jpeg"], provenance(), "x" * 40_000)
    assert parameters_of(labelled) is None
    assert b"trainedAlgorithmicMedia" in labelled
    assert parameters_of(embed(IMAGES["webp"], provenance(), "x" * 40_000)) == "x" * 40_000


@EACH
def test_a_file_that_breaks_off_is_no_worse_than_before(data: bytes) -> None:
    """Nothing is raised, and all that was there still is."""
    for size in itertools.chain(range(80), range(80, len(data), 37)):
        labelled = embed(data[:size], provenance(), PARAMETERS)
        assert len(labelled) >= size
        without_parameters(data[:size])


@given(st.sampled_from([*IMAGES.values(), FFMPEG]), st.data())
def test_damaged_files_raise_nothing(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(3):
        damaged[draw.draw(st.integers(0, min(len(data), 300) - 1))] = draw.draw(st.integers(0, 255))
    without_parameters(embed(bytes(damaged), provenance(), PARAMETERS))


# Films


def boxes(data: bytes) -> list[bytes]:
    """Return the boxes of a file or of the content of a box."""
    found = []
    while data:
        (size,) = struct.unpack_from(">I", data)
        found.append(data[:size])
        data = data[size:]
    return found


def test_a_film_whose_header_is_last_says_it_twice() -> None:
    """As ffmpeg writes it; everything before the header stays in its place."""
    labelled = embed(FFMPEG, provenance(), PARAMETERS)
    *frames, header, packet = boxes(labelled)
    assert b"".join(frames) == FTYP + box(b"free") + FRAMES
    assert packet[:24] == struct.pack(">I4s", len(packet), b"uuid") + bytes.fromhex(
        "be7acfcb97a942e89c71999491e3afac"
    )
    assert b"trainedAlgorithmicMedia" in packet
    assert b"boat" not in labelled
    *kept, metadata = boxes(header[8:])
    assert kept == boxes(boxes(FFMPEG)[-1][8:])
    (inside,) = boxes(metadata[8:])
    assert (metadata[4:8], inside[4:8]) == (b"udta", b"meta")
    handler, keys, values = boxes(inside[12:])
    assert handler[16:20] == b"mdta"
    assert keys.endswith(box(b"mdta", b"AIGC"))
    assert json.loads(values[8 + 8 + 16 :])["ContentProducer"] == "91110000AB & <Co>"
    assert identify(labelled).duration == identify(FFMPEG).duration
    assert embed(labelled, provenance(), None) == labelled


@pytest.mark.parametrize(
    ("metadata", "replaced"),
    [
        (box(b"meta", bytes(4), box(b"hdlr", bytes(25)), box(b"ilst", box(b"\xa9too", b"Lavf"))), True),
        (box(b"meta", bytes(4), box(b"hdlr", bytes(25)), box(b"ilst", box(b"\xa9cmt", b"mine"))), False),
        (box(b"name", b"mine"), True),
    ],
)
def test_metadata_of_a_film_are_not_lost(metadata: bytes, replaced: bool) -> None:
    """The name of the encoder alone makes room."""
    film = FTYP + FRAMES + box(b"moov", box(b"mvhd", bytes(100)), box(b"udta", metadata), track())
    labelled = embed(film, provenance(), None)
    assert (b"mdtaAIGC" in labelled) == replaced
    assert (b"mine" in labelled) == (b"mine" in film)
    assert b"trainedAlgorithmicMedia" in labelled
    assert identify(labelled).duration == 3.25


@pytest.mark.parametrize(
    ("film", "labelled"),
    [
        (FTYP + box(b"moov", track()) + FRAMES, True),
        (FTYP + FRAMES + wide_box(b"moov", track()), True),
        (FTYP + box(b"moov", track()) + struct.pack(">I4s", 0, b"mdat") + b"frames", False),
        (FTYP + box(b"moov", track()) + FRAMES + b"more", False),
    ],
    ids=["header first", "64 bits", "frames without an end", "trailing bytes"],
)
def test_other_films(film: bytes, labelled: bool) -> None:
    """Where nothing can follow the last box, a film stays as it is."""
    result = embed(film, provenance(), None)
    assert result.startswith(film)
    assert (len(result) > len(film)) == labelled
    assert b"mdtaAIGC" not in result


def test_other_files_stay_as_they_are() -> None:
    for data in (b"", b"text", image_file("GIF")):
        assert embed(data, provenance(), PARAMETERS) == data == without_parameters(data)
