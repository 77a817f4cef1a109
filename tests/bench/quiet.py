"""One pod that asks now and then, each time on a new connection, and says what it saw.

`python -m bench.quiet SECONDS ROLE KEY`, in the pod's own network namespace. It prints JSON: how
long each answer took in seconds, and the answers that were not the role or a document with the key.
"""

import json
import socket
import sys
import time

_WHERE = ("169.254.169.254", 80)
_ROLES = "/latest/meta-data/iam/security-credentials/"
_PAUSE = 0.005  # seconds between two questions
_PATIENCE = 10.0


def ask(path: str) -> tuple[int, str]:
    """Return status and body; the status is 0 where there was no answer."""
    try:
        with socket.create_connection(_WHERE, timeout=_PATIENCE) as sock:
            fields = "Host: 169.254.169.254\r\nConnection: close"
            sock.sendall(f"GET {path} HTTP/1.1\r\n{fields}\r\n\r\n".encode())
            answer = b""
            while more := sock.recv(65536):
                answer += more
    except OSError:
        return 0, ""
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body.decode()


def main() -> None:
    seconds, role, key = float(sys.argv[1]), sys.argv[2], sys.argv[3]
    right = {_ROLES: lambda body: body == role, _ROLES + role: lambda body: f'"{key}"' in body}
    times, wrong, end = [], [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        for path, is_right in right.items():
            begun = time.perf_counter()
            status, body = ask(path)
            times.append(time.perf_counter() - begun)
            if status != 200 or not is_right(body):
                wrong.append(status)
            time.sleep(_PAUSE)
    sys.stdout.write(json.dumps({"times": times, "wrong": wrong}))


if __name__ == "__main__":
    main()
