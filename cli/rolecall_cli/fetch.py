"""A GET of what runs on this machine, past whatever proxy the user's environment names."""

import urllib.error
import urllib.request

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str) -> tuple[int, str]:
    """Return status and text of a GET of *url*; status 0 where nobody answers."""
    try:
        with _DIRECT.open(url, timeout=2) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""
