"""HTTP/1.1 by itself: where a request comes in and bytes go out, whatever endpoint they are of."""
