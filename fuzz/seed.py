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


def pcap(order, magic, link, frames):
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return out + b"".join(struct.pack(order + "IIII", 1_700_000_000 + n, n, len(f), len(f)) + f for n, f in enumerate(frames))


def block(order, kind, body):
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def pcapng(order, link, frames):
    """A section, an interface with its options, packets of three kinds, names, statistics."""

    def option(code, value):
        return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)

    end = option(0, b"")
    out = block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + option(4, b"seed") + end)
    out += block(order, 1, struct.pack(order + "HHI", link, 0, 0) + option(2, b"eth0") + option(9, b"\x09") + end)
    for n, f in enumerate(frames):
        data = f + bytes(-len(f) % 4)
        stamp = struct.pack(order + "IIII", 0x17979CFE, n << 20, len(f), len(f))
        if n % 3 == 0:
            out += block(order, 6, struct.pack(order + "I", 0) + stamp + data + option(1, b"a comment") + option(5, bytes(8)) + end)
        elif n % 3 == 1:
            out += block(order, 3, struct.pack(order + "I", len(f)) + data)
        else:
            out += block(order, 2, struct.pack(order + "HH", 0, 3) + stamp + data)
    out += block(order, 4, struct.pack(order + "HH", 1, 12) + bytes([10, 0, 0, 1]) + b"a.test\0\0" + bytes(4))
    return out + block(order, 5, struct.pack(order + "III", 0, 0x17979CFE, 0) + option(4, bytes(8)) + end)


def snoop(kind, frames):
    out = b"snoop\0\0\0" + struct.pack(">II", 2, kind)
    for n, f in enumerate(frames):
        pad = -len(f) % 4
        out += struct.pack(">IIIIII", len(f), len(f), 24 + len(f) + pad, 0, 1_700_000_000 + n, n) + f + bytes(pad)
    return out


for stem in ("dns", "http", "tls", "smb", "ftp"):
    frames = [f for _, f in packets(ROOT / "sample-data/protocols" / (stem + ".pcap"))][:12]
    for order, end in (("<", "little"), (">", "big")):
        for magic, unit in ((0xA1B2C3D4, "us"), (0xA1B23C4D, "ns")):
            put("captures", f"pcap-{end}-{unit}-{stem}", b"\0" + pcap(order, magic, 1, frames[:2]))
        put("captures", f"pcapng-{end}-{stem}", b"\1" + pcapng(order, 1, frames[:6]))
        put("meter", f"pcapng-{end}-{stem}", b"\1" + pcapng(order, 1, frames))
    put("captures", "snoop-" + stem, b"\2" + snoop(4, frames[:3]))
    put("meter", "snoop-" + stem, b"\3" + snoop(4, frames))


# Links, EtherTypes and tunnels of the tables of layers, around one datagram.
def ipv4(proto, body, at=0):
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, at, 64, proto, 0) + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + body


def ipv6(proto, body):
    return struct.pack(">IHBB", 6 << 28, len(body), proto, 64) + bytes(15) + b"\1" + bytes(15) + b"\2" + body


def udp(port, body):
    return struct.pack(">HHHH", 40_000, port, 8 + len(body), 0) + body


INNER = ipv4(17, udp(9, b"hello"))
SIX = ipv6(17, udp(9, b"hello"))
ETHER = bytes(6) + bytes([2, 0, 0, 0, 0, 1])
FRAME = ETHER + b"\x08\0" + INNER
SNAP = b"\xaa\xaa\3\0\0\0\x08\0" + INNER
WIFI = b"\x08\1\0\0" + bytes(20) + SNAP
SESSION = struct.pack(">BBHHH", 0x11, 0, 7, len(INNER) + 2, 0x21) + INNER
LABELS = struct.pack(">II", 0x10040, 0x20140) + INNER
links = {
    0: b"\2\0\0\0" + INNER,
    9: b"\xff\3\0\x21" + INNER,
    12: SIX,
    14: INNER,
    50: b"\xff\3\0\x57" + SIX,
    51: SESSION,
    101: INNER,
    104: b"\x0f\0\x08\0" + INNER,
    105: WIFI,
    108: b"\0\0\0\2" + INNER,
    113: b"\0\0\0\1\0\6" + bytes(8) + b"\x08\0" + INNER,
    119: struct.pack("<II", 0x44, 144) + bytes(136) + WIFI,
    127: b"\0\0\x08\0" + bytes(4) + b"\x88\1\0\0" + bytes(20) + b"\x80\0" + FRAME[:12] + struct.pack(">H", len(SNAP)) + SNAP,
    163: struct.pack(">II", 0x80211001, 64) + bytes(56) + WIFI,
    192: struct.pack("<BBHI", 0, 0, 8, 105) + WIFI,
    219: LABELS,
    228: INNER,
    229: SIX,
    239: b"\2\0\0\0" + struct.pack("<HH", 4 + len(INNER), 9) + INNER,
    276: b"\x08\0\0\0" + bytes(4) + b"\0\1\0\6" + bytes(8) + INNER,
}
for link, frame in links.items():
    put("decode", f"link-{link}", struct.pack(">H", link) + frame)
ethertypes = {
    len(SNAP): SNAP,
    0x0806: struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + bytes(20),
    0x22EB: struct.pack(">III", 0x20000001, 0, 0) + FRAME,
    0x6558: FRAME,
    0x8100: b"\0\7\x08\0" + INNER,
    0x86DD: SIX,
    0x880B: b"\0\x21" + INNER,
    0x8847: LABELS,
    0x8864: SESSION,
    0x88A8: b"\0\7\x81\0\0\x08\x08\0" + INNER,
    0x88BE: struct.pack(">II", 0x10000001, 0) + FRAME,
    0x88E7: bytes(4) + FRAME,
    0x8903: bytes(2) + FRAME,
    0x8909: b"\1\1\0\0\x08\0" + INNER,
    0x8926: bytes(4) + b"\x08\0" + INNER,
}
for kind, body in ethertypes.items():
    put("decode", f"ether-{kind:04x}", b"\0\1" + ETHER + struct.pack(">H", kind) + body)
over_ip = [
    (1, b"\3\1\0\0\0\0\0\0" + INNER),
    (4, INNER),
    (41, SIX),
    (47, b"\0\0\x08\0" + INNER),
    (47, b"\xb0\0\x08\0" + bytes(12) + INNER),
    (47, b"\x30\x81\x88\x0b" + struct.pack(">HHII", len(INNER) + 2, 1, 1, 1) + b"\0\x21" + INNER),
    (47, b"\0\0\x88\xbe" + FRAME),
    (47, b"\x10\0\x88\xbe" + bytes(4) + struct.pack(">II", 0x10000001, 0) + FRAME),
    (47, b"\x10\0\x22\xeb" + bytes(4) + struct.pack(">III", 0x20000001, 0, 0) + FRAME),
    (97, b"\x30\0" + FRAME),
    (132, bytes(12)),
    (137, LABELS),
]
for n, (proto, body) in enumerate(over_ip):
    put("decode", f"ip-{proto}-{n}", b"\0\x65" + ipv4(proto, body))
over_udp = {
    1701: b"\0\2\0\1\0\1\xff\3\0\x21" + INNER,
    2152: struct.pack(">BBHI", 0x30, 255, len(INNER), 7) + INNER,
    3544: bytes(8) + SIX,
    4789: b"\x08\0\0\0\0\0\7\0" + FRAME,
    4790: b"\x0c\0\0\1\0\0\7\0" + INNER,
    5072: b"\x42\x52\x11\x29" + bytes(40) + SIX,
    6081: b"\0\0\x65\x58\0\0\7\0" + FRAME,
}
for port, body in over_udp.items():
    put("decode", f"udp-{port}", b"\0\x65" + ipv4(17, udp(port, body)))
# Extension headers, a fragment, options of TCP.
extended = b"\x3c\0" + bytes(6) + b"\x2c\0" + bytes(6) + b"\x11\0\0\1\0\0\0\7" + udp(9, b"x" * 8)
put("decode", "six-extended", b"\0\x65" + ipv6(0, extended))
put("decode", "fragment", b"\0\x65" + ipv4(17, udp(9, b"x" * 8), 0x2000))
tcp = struct.pack(">HHIIBBHHH", 1, 2, 3, 4, 0xA0, 2, 9, 0, 0) + b"\2\4\5\xb4\4\2\x08\x0a" + bytes(8) + b"\1\3\3\7"
put("decode", "options", b"\0\x65" + ipv4(6, tcp))

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

# Requests on the socket of a case: a text to compile, a table of everything, the sources; bare, and as frames.
every = b"\xff" * 9 + b"\x01" + b"\xfe" + b"\xff" * 8 + b"\x01"
for name, body in {
    "compile": b"\x00\x0dhost 10.0.0.5\x00",
    "table": b"\x04\x00\x01\x00" + every + b"\x00\x00",
    "nested": b"\x04\x00\x04\x00\x03\x03\x01\x01" + every + b"\x00\x00",
    "sources": b"\x0c",
}.items():
    put("service", name, b"\0" + body)
    put("service", "frame-" + name, b"\x07" + struct.pack("<IBQ", len(body) + 9, 1, 7) + body)
