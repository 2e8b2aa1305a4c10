#!/usr/bin/env python3
"""Makes the first corpora of the fuzz targets from sample-data. Needs nothing but Python."""
import io
import pathlib
import re
import struct
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus"
MOST = 24 * 1024


def put(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data[:MOST])


def members(path, suffix):
    """The names in an open set's list, in its order."""
    text = (ROOT / path).read_text().split("pub const ALL")[1].split("];")[0]
    return re.findall(r"&(?:r#)?(\w+)::" + suffix, text)


def packets(path):
    data = path.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    link = struct.unpack(order + "I", data[20:24])[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack(order + "I", data[at + 8 : at + 12])[0]
        yield link, data[at + 16 : at + 16 + length]
        at += 16 + length


def payload(link, frame):
    """Ends and payload of TCP or UDP over IPv4, by the simplest reading."""
    skip = {1: 14, 113: 16, 101: 0, 0: 4}.get(link)
    if skip is None or len(frame) < skip + 20 or frame[skip] >> 4 != 4:
        return None
    ip = frame[skip:]
    head, total = (ip[0] & 15) * 4, struct.unpack(">H", ip[2:4])[0]
    body = ip[head:total]
    if len(body) < 8:
        return None
    ports = struct.unpack(">HH", body[:4])
    ends = ((ip[12:16], ports[0]), (ip[16:20], ports[1]))
    return ends, body[8:] if ip[9] == 17 else body[(body[12] >> 4) * 4 :] if ip[9] == 6 and len(body) >= 20 else b""


def segment(side, data):
    """As `segments` of the targets' library reads it back."""
    out = b""
    while data:
        n = len(data)
        step = min(n, 63) if n < 87 else min(n // 24, 63) * 24
        head = step if step < 64 else step // 24 + 63
        out += bytes([head << 1 | side]) + data[:step]
        data = data[step:]
    return out


names = members("src/protocols/mod.rs", "PROTOCOL")
for path in sorted((ROOT / "sample-data/protocols").glob("*.pcap")):
    put("captures", path.stem, b"\0" + path.read_bytes())
    put("meter", path.stem, b"\0" + path.read_bytes())
    conversation, first, linked = b"", None, set()
    for n, (link, frame) in enumerate(packets(path)):
        if n < 3:
            put("decode", f"{path.stem}-{n}", struct.pack(">H", link) + frame)
        found = payload(link, frame)
        if not found or not found[1]:
            continue
        ends, data = found
        first = first or ends
        if set(first) == set(ends):
            conversation += segment(0 if ends == first else 1, data)
    if path.stem in names:
        put("protocols", path.stem, bytes([names.index(path.stem), 0]) + conversation)

for n, name in enumerate(members("src/formats/mod.rs", "FORMAT")):
    for path in (ROOT / "sample-data/formats").glob(name.replace("_", "-") + ".*"):
        put("formats", path.name, bytes([n]) + path.read_bytes())

queries = """host 10.0.0.5 and port 443
bytes > 1MB and dst.port in {80, 443, 8000-8100}
ip.addr == 10.0.0.5 && !(tcp.port == 443)
src:10.0.0.5 dport:445 -app:dns
sni ~ /ev[il]/ or name contains "exa\\"mple"
between 2026-11-20T08:00Z and 2026-11-20T09:00Z
around 2026-11-20T08:12:03Z 30s and since 2h ago
kind != flow | count by dst.ip, dst.port | sort -count | head 20
alerts | top 10 host by bytes
| timeline 5m bytes by app
host in @watch-list and not net 10.0.0.0/8
duration > 1h and state = S0 and user = "a b"""
for n, line in enumerate(queries.splitlines()):
    put("query", str(n), line.encode())

for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", compression) as archive:
        archive.writestr("a/b.log", "hello " * 20)
        archive.writestr("c", b"")
    put("archives", f"zip-{compression}", b"\0" + memory.getvalue())
for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=form) as archive:
        member = tarfile.TarInfo("a/" + "b" * 60)
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    put("archives", f"tar-{form}", b"\1" + memory.getvalue())

step = struct.Struct(">HBB")
put("reassembly", "order", b"".join(step.pack(n * 40, 10, 9) for n in (0, 2, 1, 3, 3)))
put("reassembly", "gaps", step.pack(0, 1, 9) + step.pack(100, 9, 9) + step.pack(110, 0, 0) + step.pack(0, 0, 1))

put("store", "group", bytes([1, 100, 2, 0, 5, 5, 1, 100, 0, 1, 9, 0, 9, 9, 2, 2, 1, 0, 2, 20, 120, 2, 14]))
put("store", "frame", b"\0" + bytes(64))
put("store", "journal", b"\3" + b"00000000 " + b"0" * 64 + b" {}\n")
