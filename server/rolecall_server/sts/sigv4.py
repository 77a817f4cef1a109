"""Signature Version 4 for the one kind of request there is: a form posted to `/`.

botocore's signer handles every service and takes five times as long; a test holds the two to the
same bytes.
"""

import hmac
from datetime import datetime
from hashlib import sha256

from rolecall_server.sts.own_credentials import OwnCredentials

FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"


class Signer:
    """Signs for one host and region. It keeps the derived key, which is good for a day."""

    def __init__(self, host: str, region: str) -> None:
        self._host = host
        self._region = region
        self._derived_for: tuple[OwnCredentials, str] | None = None
        self._derived = b""

    def headers(self, body: bytes, keys: OwnCredentials, now: datetime) -> dict[str, str]:
        """Return the headers that make *body* a signed request, `Host` among them."""
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        headers = {"Content-Type": FORM_TYPE, "Host": self._host, "X-Amz-Date": stamp}
        signed = "content-type;host;x-amz-date"
        lines = f"content-type:{FORM_TYPE}\nhost:{self._host}\nx-amz-date:{stamp}\n"
        if keys.session_token is not None:
            token = keys.session_token.reveal()
            headers["X-Amz-Security-Token"] = token
            signed += ";x-amz-security-token"
            lines += f"x-amz-security-token:{token}\n"
        canonical = f"POST\n/\n\n{lines}\n{signed}\n{sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/sts/aws4_request"
        digest = sha256(canonical.encode()).hexdigest()
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode()
        signature = hmac.digest(self._key(keys, stamp[:8]), to_sign, "sha256").hex()
        headers["Authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={keys.access_key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return headers

    def _key(self, keys: OwnCredentials, day: str) -> bytes:
        if self._derived_for != (keys, day):
            key = f"AWS4{keys.secret_access_key.reveal()}".encode()
            for part in (day, self._region, "sts", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._derived, self._derived_for = key, (keys, day)
        return self._derived
